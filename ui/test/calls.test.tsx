import { gql } from "@apollo/client";
import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import React from "react";
import { expect, test } from "vitest";
import { Trouble } from "../src/parts/Trouble";
import { operate, SenseError, saveSettings } from "../src/stash/calls";
import { pluginId } from "../src/stash/plugin_api";
import { FakeStash, show } from "./fake_stash";

test("the plugin's id is the one in the script's own address", () => {
  expect(pluginId("http://stash/plugin/my-sense/javascript")).toBe("my-sense");
  expect(pluginId("https://home/stash/plugin/a%20b/javascript?t=1")).toBe("a b");
});

test("what the worker refuses is told in its own words", async () => {
  new FakeStash({
    scene: () => {
      throw new Error("There is no scene 7: choose another");
    },
  });
  await expect(operate("scene", { scene_id: "7" })).rejects.toThrow(
    new SenseError("There is no scene 7: choose another"),
  );
});

test("a setting is saved beside those that were there", async () => {
  const stash = new FakeStash();
  stash.settings = { frames: 30, of_another_version: "kept" };
  await saveSettings({ frames: 40 });
  expect(stash.settings).toEqual({ frames: 40, of_another_version: "kept" });
});

test("what is saved is saved though another query of Stash's page fails", async () => {
  const stash = new FakeStash();
  const asked = { Configuration: 0, Packages: 0 };
  stash.own.Configuration = () => ({ copy: ++asked.Configuration });
  stash.own.Packages = () => {
    if (++asked.Packages > 1) throw new Error("lookup of the package source failed");
    return { other: 1 };
  };
  const client = window.PluginApi.utils.StashService.getClient();
  const watched = [gql`query Configuration { copy }`, gql`query Packages { other }`];
  for (const query of watched) {
    client.watchQuery({ query }).subscribe({ next() {}, error() {} });
  }
  await waitFor(() => expect(asked).toEqual({ Configuration: 1, Packages: 1 }));
  await expect(saveSettings({ suggest_only: true })).resolves.toEqual({ suggest_only: true });
  // Stash's own copy alone is read anew, and when that fails nothing is said of ours.
  await waitFor(() => expect(asked).toEqual({ Configuration: 2, Packages: 1 }));
  stash.own.Configuration = () => {
    throw new Error("Stash is away");
  };
  await expect(saveSettings({ frames: 3 })).resolves.toEqual({ suggest_only: true, frames: 3 });
});

test("where nothing is set up one button does it, and the page asks again", async () => {
  const stash = new FakeStash();
  let again = 0;
  const error = new SenseError("Stash Sense is not set up yet: run the task Set up");
  show(<Trouble error={error} again={() => again++} />);
  await userEvent.click(screen.getByRole("button", { name: "Set up" }));
  expect(await screen.findByRole("progressbar")).toBeInTheDocument();
  expect(stash.tasks).toEqual([{ mode: "set_up", description: "Stash Sense: Set up", args: {} }]);
  stash.tell("REMOVE", { id: "1", status: "FINISHED" });
  expect(await screen.findByRole("button", { name: "Set up" })).toBeInTheDocument();
  expect(again).toBe(1);
});
