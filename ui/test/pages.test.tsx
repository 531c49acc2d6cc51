import { act, fireEvent, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import React from "react";
import { afterEach, expect, test, vi } from "vitest";
import { SensePages } from "../src/pages/SensePages";
import { Boundary } from "../src/parts/Boundary";
import { VERSION } from "../src/parts/Outdated";
import { Trouble } from "../src/parts/Trouble";
import { SenseError } from "../src/stash/calls";
import { FakeStash, show } from "./fake_stash";

afterEach(() => vi.useRealTimers());

const NEEDED = new SenseError("Stash Sense is not set up yet: run the task Set up");

test("each page has its name in the title, and gives Stash's back", async () => {
  new FakeStash();
  document.title = "Scenes | My Stash";
  const { unmount } = show(<SensePages />, "/plugins/stash-sense/settings");
  expect(document.title).toBe("Settings | Stash Sense | My Stash");
  expect(screen.getByRole("link", { name: "Settings" })).toHaveAttribute("aria-current", "page");
  expect(screen.getByRole("link", { name: "Review" })).not.toHaveAttribute("aria-current");
  await userEvent.click(screen.getByRole("link", { name: "Dashboard" }));
  expect(document.title).toBe("Dashboard | Stash Sense | My Stash");
  expect(screen.getByRole("heading", { level: 1 })).toHaveTextContent("Dashboard");
  unmount();
  expect(document.title).toBe("Scenes | My Stash");
});

test("one skips to the content with the first key", async () => {
  new FakeStash();
  show(<SensePages />, "/plugins/stash-sense/settings");
  await userEvent.tab();
  expect(screen.getByRole("button", { name: "Skip to the content" })).toHaveFocus();
  await userEvent.keyboard("{Enter}");
  expect(screen.getByRole("main")).toHaveFocus();
});

test("an address of ours that nobody knows leads to the first page", async () => {
  new FakeStash();
  show(<SensePages />, "/plugins/stash-sense/none");
  expect(await screen.findByRole("link", { name: "Review" })).toHaveAttribute(
    "aria-current",
    "page",
  );
});

test("a page of an older version says so, once Stash has another", async () => {
  const stash = new FakeStash();
  stash.version = VERSION;
  show(<SensePages />, "/plugins/stash-sense/settings");
  await screen.findByText("Preset and hardware");
  expect(screen.queryByText(/Stash has Stash Sense/)).toBeNull();
  stash.version = "99.0.0";
  act(() => void window.dispatchEvent(new Event("focus")));
  expect(
    await screen.findByText(
      `Stash has Stash Sense 99.0.0 now, and this page is still of ${VERSION}.`,
    ),
  ).toBeInTheDocument();
});

let isBroken = false;

function Part() {
  if (isBroken) throw new Error("<b>no</b> such row");
  return <p>Here it is</p>;
}

test("what breaks is said with its reason, and is tried again", async () => {
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  isBroken = true;
  show(
    <Boundary what="this list">
      <Part />
    </Boundary>,
  );
  expect(screen.getByRole("alert")).toHaveTextContent("cannot show this list (<b>no</b> such row)");
  isBroken = false;
  await userEvent.click(screen.getByRole("button", { name: "Try again" }));
  expect(screen.getByText("Here it is")).toBeInTheDocument();
});

test("a set-up that runs already is followed, wherever it was begun", async () => {
  const stash = new FakeStash();
  stash.tell("ADD", { id: "4", description: "Running plugin task: Set up", progress: 0.42 });
  let again = 0;
  show(<Trouble error={NEEDED} again={() => again++} />);
  expect(await screen.findByText(/Setting up: 42% done/)).toBeInTheDocument();
  expect(screen.queryByRole("button", { name: "Set up" })).toBeNull();
  act(() => stash.tell("UPDATE", { id: "4", progress: 0.8 }));
  expect(screen.getByText(/Setting up: 80% done/)).toBeInTheDocument();
  await userEvent.click(screen.getByRole("button", { name: "Stop" }));
  await waitFor(() => expect(stash.stopped).toEqual(["4"]));
  expect(again).toBe(0);
});

test("a screen reader hears of a set-up's progress now and then, not at each change", async () => {
  const stash = new FakeStash();
  stash.tell("ADD", { id: "4", description: "Running plugin task: Set up", progress: 0.42 });
  show(<Trouble error={NEEDED} again={() => undefined} />);
  await screen.findByText(/Setting up: 42% done/);
  expect(screen.getByRole("alert")).toHaveTextContent(
    /^Stash Sense is not ready yetStash Sense is not set up yet: run the task Set up\.$/,
  );
  expect(screen.getByRole("status")).toHaveTextContent(/^About 40%$/);
  act(() => stash.tell("UPDATE", { id: "4", progress: 0.48, subTasks: ["fetching"] }));
  expect(screen.getByText("fetching")).toBeInTheDocument();
  expect(screen.getByRole("status")).toHaveTextContent(/^About 40%$/);
  act(() => stash.tell("UPDATE", { id: "4", progress: 0.51 }));
  expect(screen.getByRole("status")).toHaveTextContent(/^About 50%$/);
});

test("a set-up that ended without success is said with what is told then", async () => {
  const stash = new FakeStash();
  const { rerender } = show(<Trouble error={NEEDED} again={() => undefined} />);
  await userEvent.click(screen.getByRole("button", { name: "Set up" }));
  await waitFor(() => expect(stash.tasks).toHaveLength(1));
  expect(await screen.findByText("Set up waits in Stash's queue.")).toBeInTheDocument();
  // Stash says so of one that failed, too.
  act(() => stash.tell("REMOVE", { id: "1", status: "FINISHED" }));
  expect(await screen.findByText(/Set up has ended/)).toBeInTheDocument();
  const now = new SenseError(
    "The environment of Stash Sense cannot be used any more (its set-up was not finished): run the task Set up",
  );
  rerender(<Trouble error={now} again={() => undefined} />);
  expect(screen.getByText(/its set-up was not finished/)).toBeInTheDocument();
  expect(screen.getByRole("button", { name: "Set up" })).toBeEnabled();
});

test("a set-up is followed where no news of it comes, with a way to stop and to look", async () => {
  vi.useFakeTimers({ shouldAdvanceTime: true });
  const stash = new FakeStash();
  stash.silent = true;
  let again = 0;
  show(<Trouble error={NEEDED} again={() => again++} />);
  fireEvent.click(screen.getByRole("button", { name: "Set up" }));
  expect(await screen.findByRole("button", { name: "Stop" })).toBeEnabled();
  fireEvent.click(screen.getByRole("button", { name: "Look again" }));
  expect(again).toBe(1);
  stash.tell("UPDATE", { id: "1", status: "RUNNING", progress: 0.42 });
  await act(async () => void (await vi.advanceTimersByTimeAsync(6_000)));
  expect(screen.getByText(/Setting up: 42% done/)).toBeInTheDocument();
  stash.tell("REMOVE", { id: "1" });
  await act(async () => void (await vi.advanceTimersByTimeAsync(6_000)));
  expect(again).toBe(2);
  expect(screen.getByRole("button", { name: "Set up" })).toBeEnabled();
});

test("what left the queue is not put back by an answer that is older", async () => {
  const stash = new FakeStash();
  stash.tell("ADD", { id: "4", description: "Running plugin task: Set up", progress: 0.4 });
  const client = window.PluginApi.utils.StashService.getClient();
  const query = client.query.bind(client);
  let arrive: () => void = () => undefined;
  const late = new Promise<void>((done) => {
    arrive = done;
  });
  let answered = 0;
  vi.spyOn(client, "query").mockImplementation(async (options) => {
    const found = await query(options);
    await late;
    answered += 1;
    return found as never;
  });
  show(<Trouble error={NEEDED} again={() => undefined} />);
  await act(async () => void (await new Promise((done) => setTimeout(done, 20))));
  act(() => stash.tell("REMOVE", { id: "4", status: "FINISHED" }));
  await act(async () => arrive());
  await waitFor(() => expect(answered).toBeGreaterThan(0));
  expect(await screen.findByRole("button", { name: "Set up" })).toBeInTheDocument();
  expect(screen.queryByRole("progressbar")).toBeNull();
});

test("another plugin's job is not taken for ours", async () => {
  const stash = new FakeStash();
  stash.tell("ADD", { id: "4", description: "Running plugin task: Set up extras" });
  show(<Trouble error={NEEDED} again={() => undefined} />);
  expect(await screen.findByRole("button", { name: "Set up" })).toBeInTheDocument();
});

test.each([
  ["Failed to fetch", "Stash does not answer"],
  ["NetworkError when attempting to fetch resource.", "Stash does not answer"],
  ["Load failed", "Stash does not answer"],
  ["Response not successful: Received status code 502", "Stash does not answer"],
  ["Response not successful: Received status code 401", "You are signed out of Stash"],
  ["plugin stash-sense is disabled", "Stash Sense is switched off"],
  ["no plugin with ID stash-sense", "Stash Sense is switched off"],
  ["There is no mode 'scene': choose one of doctor", "This page is of another version"],
  [
    "The background process of Stash Sense ended before it had an answer: try again",
    "The background process does not answer",
  ],
  [
    "Stash Sense is being updated, or its folder /p is not whole (x): try again in a moment",
    "Stash Sense is being updated",
  ],
])("%s is told as: %s", (message, title) => {
  new FakeStash();
  let again = 0;
  show(<Trouble error={new SenseError(message)} again={() => again++} />);
  expect(screen.getByRole("heading", { name: title })).toBeInTheDocument();
  expect(screen.getByText(message)).toBeInTheDocument();
  fireEvent.click(screen.getByRole("button", { name: "Try again" }));
  expect(again).toBe(1);
});

test("what passes by itself is asked again, and nothing else is", () => {
  vi.useFakeTimers();
  new FakeStash();
  let again = 0;
  const { rerender } = show(
    <Trouble error={new SenseError("Failed to fetch")} again={() => again++} />,
  );
  act(() => void vi.advanceTimersByTime(11_000));
  expect(again).toBe(2);
  rerender(<Trouble error={new SenseError("There is no scene 7")} again={() => again++} />);
  act(() => void vi.advanceTimersByTime(30_000));
  expect(again).toBe(2);
});
