/** What the stand-in's page promises plugins: patches, the order of scripts, sprites. */
import { render, screen } from "@testing-library/react";
import React from "react";
import { describe, expect, test } from "vitest";
import type { Plugin } from "../page/documents";
import { component, components, container, patch } from "../page/patch";
import { inOrder } from "../page/plugins";
import { readSprites } from "../page/sprites";

let count = 0;
/** A component may be registered once. */
function named(): string {
  count += 1;
  return `Tested.${count}`;
}

describe("patches", () => {
  test("before changes what is handed on, one after another", () => {
    const name = named();
    const Greeting = component<{ words: string }>(name, ({ words }) => <p>{words}</p>);
    patch.before(name, (props, ...rest) => [{ words: `${props.words} my` }, ...rest]);
    patch.before(name, (props, ...rest) => [{ words: `${props.words} friend` }, ...rest]);
    render(<Greeting words="hello" />);
    expect(screen.getByText("hello my friend")).toBeInTheDocument();
  });

  test("before must return a list", () => {
    const name = named();
    const greet = component(name, () => <p>hello</p>) as (props: object) => unknown;
    patch.before(name, (props) => props);
    expect(() => greet({})).toThrow(TypeError);
  });

  test("several instead call each other by their last argument", () => {
    const name = named();
    const Greeting = component<{ words: string }>(name, ({ words }) => <p>{words}</p>);
    for (const mark of ["!", "?"]) {
      patch.instead(name, (props, ...rest) => {
        const next = rest[rest.length - 1];
        return next({ words: props.words + mark });
      });
    }
    render(<Greeting words="hello" />);
    expect(screen.getByText("hello!?")).toBeInTheDocument();
  });

  test("a before that drops the context moves the others' arguments, as in Stash", () => {
    const name = named();
    const Greeting = component<{ words: string }>(name, ({ words }) => <p>{words}</p>);
    const seen: number[] = [];
    patch.before(name, (props) => [props]);
    patch.instead(name, (...call) => {
      seen.push(call.length);
      return call[call.length - 1](call[0]);
    });
    render(<Greeting words="hello" />);
    expect(seen).toEqual([2]);
  });

  test("after gets each item of a list that was drawn", () => {
    const name = named();
    const Items = component(name, (() => ["one", "two"]) as unknown as React.FC);
    patch.after(name, (_props, _context, ...drawn) => <p>{drawn.length} items</p>);
    render(<Items />);
    expect(screen.getByText("2 items")).toBeInTheDocument();
  });

  test("a container shows what plugins add", () => {
    const name = named();
    const Tabs = container(name);
    patch.before(name, (props, ...rest) => [
      { children: [props.children, <b key="ours">ours</b>] },
      ...rest,
    ]);
    render(
      <Tabs>
        <i key="theirs">theirs</i>
      </Tabs>,
    );
    expect(screen.getByText("theirs")).toBeInTheDocument();
    expect(screen.getByText("ours")).toBeInTheDocument();
    expect(components[name]).toBe(Tabs);
  });

  test("a name is taken once", () => {
    const name = named();
    container(name);
    expect(() => container(name)).toThrow(`Component ${name} has already been registered`);
  });
});

function plugin(id: string, ...requires: string[]): Plugin {
  return {
    id,
    name: id,
    description: null,
    version: null,
    enabled: true,
    requires,
    tasks: null,
    settings: null,
    paths: { javascript: null, css: null },
  };
}

describe("the order of scripts", () => {
  test("each comes after those that it requires", () => {
    const sorted = inOrder([plugin("a", "c"), plugin("b"), plugin("c", "b")]);
    expect(sorted.map(({ id }) => id)).toEqual(["b", "c", "a"]);
  });

  test("what requires itself by way of another is refused", () => {
    expect(() => inOrder([plugin("a", "b"), plugin("b", "a")])).toThrow("closed chain");
  });

  test("what is not there is not waited for", () => {
    expect(inOrder([plugin("a", "gone")])).toHaveLength(1);
  });
});

test("a sprite's place is read from its cue, its address from the sheet's own", () => {
  const vtt =
    "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nabc_sprite.jpg#xywh=0,0,160,90\n\n" +
    "00:01:01.500 --> 01:00:00.000\nabc_sprite.jpg#xywh=160,90,160,90\n";
  expect(readSprites(vtt, "http://stash/scene/abc_thumbs.vtt")).toEqual([
    { url: "http://stash/scene/abc_sprite.jpg", start: 0, end: 1.5, x: 0, y: 0, w: 160, h: 90 },
    {
      url: "http://stash/scene/abc_sprite.jpg",
      start: 61.5,
      end: 3600,
      x: 160,
      y: 90,
      w: 160,
      h: 90,
    },
  ]);
  expect(() => readSprites(vtt, "/scene/abc_thumbs.vtt")).toThrow(TypeError);
});
