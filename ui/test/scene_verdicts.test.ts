import { gql } from "@apollo/client";
import { waitFor } from "@testing-library/react";
import { expect, test } from "vitest";
import type { Modes } from "../src/stash/calls";
import { stash as pluginApi } from "../src/stash/plugin_api";
import { accept, readAgain, refuse, unsay } from "../src/stash/verdicts";
import { FakeStash } from "./fake_stash";
import { row } from "./scene_rows";

const accepted = (asked: Modes["accept"]["asked"]): Modes["accept"]["told"] => ({
  run_id: "r",
  dry_run: false,
  failed: 0,
  failures: [],
  accepted: asked.items?.length ?? 0,
  written: asked.items?.length ?? 0,
  there: 0,
  markers: 1,
});

test("a suggestion is named by its scene, kind and name, and by its target where it has one", async () => {
  const stash = new FakeStash({ accept: accepted });
  await accept([row("Beach"), row("Ada", { kind: "performer", target_id: "12" })]);
  expect(stash.calls).toEqual([
    {
      mode: "accept",
      args: {
        items: [
          { scene_id: "7", kind: "tag", name: "Beach" },
          { scene_id: "7", kind: "performer", name: "Ada", target_id: "12" },
        ],
      },
    },
  ]);
});

test("what was said is named where it is taken back, and nowhere else", async () => {
  const none = { run_id: "r", dry_run: false, failed: 0, failures: [], left: [] };
  const stash = new FakeStash({
    accept: accepted,
    unsay: () => ({ ...none, unsaid: 1, taken_back: 1, written: 0, markers: 0 }),
  });
  await unsay([row("Beach", { said: "refused" }), row("Sea")]);
  await accept([row("Beach", { said: "refused" })]);
  const beach = { scene_id: "7", kind: "tag", name: "Beach" };
  expect(stash.calls.map(({ args }) => args.items)).toEqual([
    [
      { ...beach, said: "refused" },
      { ...beach, name: "Sea" },
    ],
    [beach],
  ]);
});

test("many are spoken of in several calls, and what came of them is added up", async () => {
  const stash = new FakeStash({ accept: accepted });
  const told = await accept(Array.from({ length: 250 }, (_, i) => row(`Tag ${i}`)));
  expect(stash.calls.map(({ args }) => (args.items as unknown[]).length)).toEqual([100, 100, 50]);
  expect(told).toMatchObject({ accepted: 250, written: 250, markers: 3, failed: 0 });
});

test("where a later call fails, what it was about is named as not done", async () => {
  let calls = 0;
  new FakeStash({
    refuse: (asked) => {
      calls += 1;
      if (calls === 2) throw new Error("Stash is away");
      const refused = asked.items?.length ?? 0;
      const none = { run_id: "r", dry_run: false, failed: 0, failures: [], left: [] };
      return { ...none, refused, taken_back: 0, markers: 0, not_ours: 0 };
    },
  });
  const told = await refuse(Array.from({ length: 130 }, (_, i) => row(`Tag ${i}`)));
  expect(told).toMatchObject({ refused: 100, failed: 30 });
  expect(told.failures[0]).toMatchObject({
    name: "Tag 100",
    message: "Stash is away",
    remedy: "try again",
  });
});

test("where the first call fails, it is said as it is", async () => {
  new FakeStash({
    unsay: () => {
      throw new Error("Stash is away");
    },
  });
  await expect(unsay([row("Beach")])).rejects.toThrow("Stash is away");
});

test("Stash's pages read a scene again whose tags we changed, and never lose it meanwhile", async () => {
  const stash = new FakeStash({ accept: accepted });
  let tags = ["Old"];
  let read = 0;
  stash.own.FindScene = ({ id }) => {
    read += 1;
    return { findScene: { __typename: "Scene", id, tags } };
  };
  const shown: (string[] | undefined)[] = [];
  const subscriptions = ["7", "8"].map((id) =>
    pluginApi()
      .utils.StashService.getClient()
      .watchQuery<{ findScene: { tags: string[] } | null }>({
        query: gql`query FindScene($id: ID!) { findScene(id: $id) { id tags } }`,
        variables: { id },
      })
      .subscribe(({ data }) => void (id === "7" && shown.push(data?.findScene?.tags))),
  );
  await waitFor(() => expect(read).toBe(2));
  tags = ["Old", "Beach"];
  await accept([row("Beach")]);
  await waitFor(() => expect(shown.at(-1)).toEqual(["Old", "Beach"]));
  expect(shown).toEqual([["Old"], ["Old", "Beach"]]);
  // The other scene was not read again.
  expect(read).toBe(3);
  for (const each of subscriptions) each.unsubscribe();
});

test("a page that cannot be read again undoes nothing", async () => {
  const stash = new FakeStash({ accept: accepted });
  stash.own.FindScene = () => ({ findScene: { __typename: "Scene", id: "7", tags: [] } });
  const subscription = pluginApi()
    .utils.StashService.getClient()
    .watchQuery({ query: gql`query FindScene { findScene { id tags } }` })
    .subscribe({ error: () => undefined });
  await waitFor(async () => {
    const client = pluginApi().utils.StashService.getClient();
    expect(JSON.stringify(client.cache.extract(false))).toContain("Scene:7");
  });
  stash.own.FindScene = () => {
    throw new Error("Stash is away");
  };
  await expect(readAgain(["7"])).resolves.toBeUndefined();
  subscription.unsubscribe();
});
