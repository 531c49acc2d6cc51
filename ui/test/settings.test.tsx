import { act, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import React from "react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { SettingsForm, StashSettings } from "../src/settings/SettingsForm";
import type { Shapes } from "../src/stash/calls";
import { FakeStash, show } from "./fake_stash";

const MODEL: Shapes["ModelRow"] = {
  name: "clip-vit-b32",
  task: "clip",
  about: "Scenes and whatever words can say",
  language: "",
  licence: "MIT",
  commercial: true,
  accepted: true,
  megabytes: 350,
  disk_megabytes: 0,
  here: true,
  lacks: "",
  lighter: [],
  runs: [],
  suits: "any",
  made: false,
  untried: false,
  presets: ["fast"],
  chosen: "the preset fast",
  own: false,
};
const MODELS: Shapes["ModelsTold"] = {
  preset: "fast",
  why: "auto chose fast: 2 processor cores",
  models: [
    MODEL,
    { ...MODEL, name: "clip-large", here: false, chosen: "", megabytes: 1710 },
    {
      ...MODEL,
      name: "<b>bold</b>",
      task: "tagger",
      chosen: "",
      licence: "nc-1",
      commercial: false,
    },
  ],
};

const withModels = () => new FakeStash({ models: () => MODELS });
const withoutWorker = () =>
  new FakeStash({
    models: () => {
      throw new Error("The background process of Stash Sense did not answer for 60 s");
    },
  });

beforeEach(() => vi.useFakeTimers({ shouldAdvanceTime: true }));
afterEach(() => vi.useRealTimers());

const user = () => userEvent.setup({ advanceTimers: (ms) => vi.advanceTimersByTime(ms) });
const row = (name: string) => {
  const found = screen.getByLabelText(name).closest(".sense-setting");
  if (found === null) throw new Error(`no row ${name}`);
  return within(found as HTMLElement);
};

test("a switch is worded as what is done, and what is stored keeps its meaning", async () => {
  const stash = withModels();
  show(<SettingsForm />);
  const objects = await screen.findByLabelText("Look for objects");
  expect(objects).toBeChecked();
  await user().click(objects);
  await row("Look for objects").findByText("Saved");
  expect(stash.settings).toEqual({ skip_objects: true });
  expect(objects).not.toBeChecked();
  await user().click(objects);
  await waitFor(() => expect(stash.settings).toEqual({ skip_objects: false }));
  expect(screen.getByLabelText("Write markers")).not.toBeChecked();
});

test("what is typed is saved once nothing is typed any more", async () => {
  const stash = withModels();
  stash.settings = { of_another_version: "kept" };
  show(<SettingsForm />);
  await user().type(await screen.findByLabelText("Video frames per scene"), "120");
  expect(stash.settings).toEqual({ of_another_version: "kept" });
  await row("Video frames per scene").findByText("Saved");
  expect(stash.settings).toEqual({ of_another_version: "kept", frames: 120 });
  expect(screen.getByText(/Stash also keeps 'of_another_version'/)).toBeInTheDocument();
});

test("what the plugin would refuse is refused in its words, and not saved", async () => {
  const stash = withModels();
  show(<SettingsForm />);
  const frames = await screen.findByLabelText("Video frames per scene");
  await user().type(frames, "1");
  await user().tab();
  expect(row("Video frames per scene").getByRole("alert")).toHaveTextContent(
    "Not saved: 1 is not between 2 and 2000.",
  );
  await user().clear(frames);
  await user().type(frames, "many");
  expect(row("Video frames per scene").getByRole("alert")).toHaveTextContent(
    "Not saved: 'many' is not a whole number.",
  );
  await user().type(screen.getByLabelText("To do"), "tagged");
  expect(row("To do").getByRole("alert")).toHaveTextContent(/must differ from each other/);
  act(() => void vi.advanceTimersByTime(5000));
  expect(stash.settings).toEqual({});
});

test("a page that is left saves what was typed", async () => {
  const stash = withModels();
  const { unmount } = show(<SettingsForm />);
  await user().type(await screen.findByLabelText("To do"), "Look");
  unmount();
  await waitFor(() => expect(stash.settings).toEqual({ tagme_tag: "Look" }));
});

test("one goes back to the default, which takes the key away", async () => {
  const stash = withModels();
  stash.settings = { frames: 30, markers: true };
  show(<SettingsForm />);
  const back = await screen.findByRole("button", {
    name: "Video frames per scene: back to the default, 60 pictures",
  });
  await user().click(back);
  await waitFor(() => expect(stash.settings).toEqual({ markers: true }));
  expect(screen.getByLabelText("Video frames per scene")).toHaveValue("");
});

test("what is stored and cannot be used is said, and can be put right", async () => {
  const stash = withModels();
  stash.settings = { frames: 99999, markers: "yes", tagme_tag: "tagged" };
  show(<SettingsForm />);
  expect(
    await screen.findByText("Stored: 99999 is not between 2 and 2000; 60 is used."),
  ).toBeVisible();
  expect(screen.getByText(/^Stored: 'yes' is neither true nor false; False is used/)).toBeVisible();
  expect(screen.getByText(/must differ from each other; TagMe, Tagged/)).toBeVisible();
  await user().click(screen.getByLabelText("Write markers"));
  await waitFor(() => expect(stash.settings.markers).toBe(true));
});

test("what could not be saved is said, stays as it was typed, and is tried again", async () => {
  const stash = withModels();
  show(<SettingsForm />);
  const field = await screen.findByLabelText("Failed");
  stash.refusing = "disk full";
  await user().type(field, "Broken{Enter}");
  expect(await row("Failed").findByRole("alert")).toHaveTextContent("Not saved: disk full");
  expect(field).toHaveValue("Broken");
  stash.refusing = "";
  await user().click(row("Failed").getByRole("button", { name: "Try again" }));
  await row("Failed").findByText("Saved");
  expect(stash.settings).toEqual({ errored_tag: "Broken" });
});

test("two changes at once are both kept", async () => {
  const stash = withModels();
  show(<SettingsForm />);
  const me = user();
  await me.click(await screen.findByLabelText("Write markers"));
  await me.click(screen.getByLabelText("Suggest only"));
  await me.click(screen.getByLabelText("Read text"));
  await waitFor(() =>
    expect(stash.settings).toEqual({ markers: true, suggest_only: true, skip_text: true }),
  );
});

test("models are chosen from the list, by what they are for", async () => {
  const stash = withModels();
  show(<SettingsForm />);
  await screen.findByText(/Now in use/);
  const select = screen.getByLabelText("Places, acts and clothes");
  expect(
    within(select)
      .getAllByRole("option")
      .map((each) => each.textContent),
  ).toEqual([
    "the preset's (clip-vit-b32)",
    "clip-vit-b32: MIT, 350 MB",
    "clip-large: MIT, 1.7 GB, not here yet",
  ]);
  await user().selectOptions(select, "clip-large");
  await waitFor(() => expect(stash.settings).toEqual({ clip_model: "clip-large" }));
  expect(
    row("Places, acts and clothes").getByRole("link", { name: "download it on the dashboard" }),
  ).toHaveAttribute("href", "/plugins/stash-sense/dashboard");
  await user().selectOptions(screen.getByLabelText("Acts and clothing"), "<b>bold</b>");
  await waitFor(() => expect(stash.settings.tagger_model).toBe("<b>bold</b>"));
  expect(document.querySelector("b")).toBeNull();
});

test("a model that the list lacks stays chosen, and is said to be missing", async () => {
  const stash = withModels();
  stash.settings = { clip_model: "gone" };
  show(<SettingsForm />);
  await screen.findByText(/Now in use/);
  expect(screen.getByLabelText("Places, acts and clothes")).toHaveDisplayValue(
    "gone: not in the list of models",
  );
});

test("without the worker everything can be set", async () => {
  const stash = withoutWorker();
  show(<SettingsForm />);
  expect(await screen.findByText(/The list of models cannot be had now/)).toBeInTheDocument();
  await user().type(screen.getByLabelText("Places, acts and clothes"), "clip-large{Enter}");
  await waitFor(() => expect(stash.settings).toEqual({ clip_model: "clip-large" }));
});

test("names join a list one by one or pasted, and leave it", async () => {
  const stash = withModels();
  stash.settings = { never: "Beach" };
  show(<SettingsForm />);
  const field = await screen.findByLabelText("Never suggest");
  await user().type(field, "Sea,");
  await waitFor(() => expect(stash.settings.never).toBe("Beach, Sea"));
  await user().click(field);
  await user().paste("Sand\nSea\r\n<i>Sun</i>");
  await waitFor(() => expect(stash.settings.never).toBe("Beach, Sea, Sand, <i>Sun</i>"));
  await user().click(screen.getByRole("button", { name: "Take Beach away" }));
  await waitFor(() => expect(stash.settings.never).toBe("Sea, Sand, <i>Sun</i>"));
});

test("among other plugins' settings all is folded, and the worker is left alone", async () => {
  const stash = withModels();
  show(<StashSettings />);
  const heading = await screen.findByRole("button", { name: "Time and memory" });
  expect(heading).toHaveAttribute("aria-expanded", "false");
  await user().click(heading);
  expect(screen.getByLabelText("Memory for models")).toBeInTheDocument();
  expect(stash.calls).toEqual([]);
  await user().click(screen.getByRole("button", { name: "Preset and hardware" }));
  await screen.findByText(/Now in use/);
});

test("Stash's own copy of the settings is kept fresh", async () => {
  const stash = withModels();
  stash.settings = { frames: 30, of_another_version: 1 };
  const copies: unknown[] = [];
  window.PluginApi.hooks.useSettings = () => ({
    savePluginSettings: (plugin, all) => void copies.push([plugin, all]),
  });
  show(<StashSettings />);
  await user().click(await screen.findByRole("button", { name: /^What is written/ }));
  await user().click(screen.getByLabelText("Write markers"));
  await waitFor(() =>
    expect(copies).toEqual([["stash-sense", { frames: 30, of_another_version: 1, markers: true }]]),
  );
});

test("a slider moves in steps that mean something, and says them", async () => {
  const stash = withModels();
  show(<SettingsForm />);
  const slider = await screen.findByRole("slider", { name: "Confidence to write, slider" });
  expect(slider).toHaveAttribute("aria-valuetext", "each label's own threshold");
  expect(screen.getByRole("slider", { name: "Memory for models, slider" })).toHaveAttribute(
    "aria-valuetext",
    "3000 MB",
  );
  stash.settings = { apply_percent: 80 };
  act(() => void window.dispatchEvent(new Event("focus")));
  await waitFor(() => expect(slider).toHaveAttribute("aria-valuetext", "80 %"));
});

test("a Stash that is away is said, and asked again", async () => {
  const stash = withModels();
  stash.refusing = "Failed to fetch";
  show(<SettingsForm />);
  expect(await screen.findByText("Stash does not answer")).toBeInTheDocument();
  stash.refusing = "";
  act(() => void vi.advanceTimersByTime(5000));
  expect(await screen.findByLabelText("Write markers")).toBeInTheDocument();
});
