/** A tag bears the name that the user gave it, and is spoken of by ours. */
import { act, fireEvent, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import React from "react";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { forgetPictures } from "../src/parts/pictures";
import { SceneTab } from "../src/scene/SceneTab";
import { FakeStash, show } from "./fake_stash";
import { active, beaches, Library, layOut, review, rows, suggestion } from "./review_kit";
import { row, scene } from "./scene_rows";

let restore: () => void;
beforeAll(() => {
  restore = layOut();
});
afterAll(() => restore());
afterEach(() => forgetPictures("7"));

const YOURS = { name: "Beach", called: "Strand" };

test("in the scene's tab", async () => {
  const done = { run_id: "r", dry_run: false, failed: 0, failures: [] };
  const markers = row("Beach", { ...YOURS, kind: "marker", label: "beach" });
  const stash = new FakeStash({
    scene: () => scene([row("Beach", { ...YOURS, label: "beach" }), markers, row("Dog")]),
    pictures: () => ({ pictures: [], note: "" }),
    accept: () => ({ ...done, accepted: 1, written: 1, there: 0, markers: 0 }),
  });
  show(
    <SceneTab scene={{ id: "7", files: [{ duration: 100 }], tags: [] }} seek={() => undefined} />,
  );
  await userEvent.click(await screen.findByRole("button", { name: "Accept Strand" }));
  const accepted = () => stash.calls.find(({ mode }) => mode === "accept");
  await waitFor(() => expect(accepted()).toBeDefined());
  expect(accepted()?.args).toMatchObject({ items: [{ scene_id: "7", name: "Beach" }] });
  const drawn = [...document.querySelectorAll(".tag-item, .sense-lane-name")];
  expect(drawn.map((each) => each.textContent)).toEqual([
    "Strand",
    "Dog",
    "Strand",
    "Strand",
    "Dog",
  ]);
  // What it was taken for stands beside it.
  expect(screen.getByRole("button", { name: /^Strand\s*beach/ })).toBeInTheDocument();
  expect(screen.getByRole("button", { name: /^Markers of\s*Strand/ })).toBeInTheDocument();
});

test("in Review", async () => {
  const given = () => new Library([suggestion({ scene_id: "1", ...YOURS })]);
  const library = given();
  const shown = review(library, "?by=scene");
  await waitFor(() => expect(active()).toMatch(/^Strand, /));
  await userEvent.keyboard("a");
  await act(() => library.answers.settled());
  expect(library.standing("accepted").map(({ name }) => name)).toEqual(["Beach"]);
  await userEvent.keyboard("u");
  expect(await screen.findByText(/^Undone: Strand for Scene 1/)).toBeInTheDocument();
  await act(() => library.answers.settled());
  shown.unmount();
  review(given(), "?by=tag&tag=Beach");
  await waitFor(() => expect(rows()).toHaveLength(1));
  expect(screen.getByRole("heading", { name: /^Beach\s*your tag Strand/ })).toBeInTheDocument();
});

test("in what all above would come to, and in the filter of names", async () => {
  const yours = ["1", "2", "3"].map((scene_id) => suggestion({ scene_id, ...YOURS }));
  const library = new Library([...yours, ...beaches(5, "Dog")]);
  review(library, "?by=tag&tag=Beach");
  await waitFor(() => expect(rows()).toHaveLength(3));
  expect(screen.getByRole("list", { name: "Scenes with Strand, the most certain first" })).toBe(
    rows()[0]?.parentElement,
  );
  await userEvent.type(screen.getByRole("searchbox", { name: "Filter names" }), "strand");
  const names = screen.getByRole("list", { name: "Names with suggestions" });
  expect([...names.children].map((each) => each.textContent)).toEqual([
    "Beach your tag Strand3 waiting",
  ]);
  const slider = screen.getByRole("slider", { name: "Least confidence to accept" });
  fireEvent.change(slider, { target: { value: "0" } });
  await userEvent.click(screen.getByRole("button", { name: "Accept all above 0% (3)" }));
  expect(await screen.findByText("Accept Strand above 0%?")).toBeInTheDocument();
  expect(await screen.findByText(/^3 scenes would get Strand\./)).toBeInTheDocument();
  await userEvent.click(screen.getByRole("button", { name: "Accept 3" }));
  expect(await screen.findByText("Accepted Strand for 3 scenes")).toBeInTheDocument();
  expect(screen.getByText("Nothing of Strand waits any more")).toBeInTheDocument();
  expect(library.standing("accepted").map(({ name }) => name)).toEqual(Array(3).fill("Beach"));
});
