import { act, cleanup, fireEvent, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import React from "react";
import { afterEach, describe, expect, test, vi } from "vitest";
import { DashboardPage } from "../src/dashboard/DashboardPage";
import type { Shapes } from "../src/stash/calls";
import {
  DOCTOR,
  EVALUATED,
  failed,
  job,
  model,
  NO_SCENES,
  overview,
  QUIET,
  run,
} from "./dashboard_given";
import { FakeStash, show } from "./fake_stash";

const HOSTILE = "<img src=x onerror=alert(1)>";

afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

/** A dashboard over quiet answers, but for those that the test hands in. */
function dashboard(answers: ConstructorParameters<typeof FakeStash>[0] = {}): FakeStash {
  const stash = new FakeStash({ ...QUIET, ...answers });
  show(<DashboardPage />);
  return stash;
}

async function card(name: string): Promise<HTMLElement> {
  const found = await screen.findByRole("region", { name });
  await waitFor(() => expect(found).not.toHaveAttribute("aria-busy", "true"));
  return found;
}

function asked(stash: FakeStash, mode: string) {
  return stash.calls.filter((call) => call.mode === mode);
}

describe("each card stands for itself", () => {
  test("one that fails says why and is asked again, the others are there", async () => {
    let times = 0;
    dashboard({
      overview: () => {
        times += 1;
        if (times === 1) throw new Error("The store is busy: try again in a moment");
        return overview();
      },
    });
    const library = await card("Library");
    expect(within(library).getByText(/The store is busy/)).toBeInTheDocument();
    expect(await screen.findByText("No scene failed.")).toBeInTheDocument();
    await userEvent.click(within(library).getByRole("button", { name: "Try again" }));
    expect(await within(library).findByText(/12,345 of 50,000/)).toBeInTheDocument();
  });

  test("where nothing is set up there is one button for it, not one in each card", async () => {
    const none = () => {
      throw new Error("Stash Sense is not set up yet: run the task Set up");
    };
    dashboard({ jobs: none, overview: none, errors: none, models: none, runs: none, doctor: none });
    expect(await screen.findAllByRole("button", { name: "Set up" })).toHaveLength(1);
    expect(screen.queryByRole("region", { name: "Now" })).toBeNull();
  });

  test("a worker that is away is told of once, and all is there when it is back", async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    let away = true;
    const answers = Object.fromEntries(
      Object.entries(QUIET).map(([mode, answer]) => [
        mode,
        () => {
          if (away) throw new Error("The worker does not answer");
          return answer();
        },
      ]),
    );
    dashboard(answers);
    expect(await screen.findAllByText("The worker does not answer")).toHaveLength(1);
    away = false;
    await act(async () => void (await vi.advanceTimersByTimeAsync(16_000)));
    expect(await screen.findByText(/12,345 of 50,000/)).toBeInTheDocument();
    await waitFor(() => expect(screen.queryByText("The worker does not answer")).toBeNull());
  });

  test("a reply that cannot be drawn spoils its own card alone", async () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    dashboard({ runs: () => ({ runs: null, next: null }) as never });
    expect(await screen.findByText(/cannot show the card Runs/)).toBeInTheDocument();
    expect(await screen.findByText("No scene failed.")).toBeInTheDocument();
  });
});

describe("Now", () => {
  test("a job's progress and last line move, and its end is told and counted anew", async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    let now: Shapes["JobTold"] = job({
      id: "1",
      status: "running",
      scene_ids: ["12"],
      progress: 0.25,
      lines: [{ level: "info", message: HOSTILE }],
    });
    const stash = dashboard({ jobs: () => ({ jobs: [now] }) });
    const under_way = await screen.findByRole("listitem", { name: "Tag scene 12" });
    expect(within(under_way).getByRole("progressbar")).toHaveAttribute("aria-valuenow", "25");
    expect(within(under_way).getByText(HOSTILE)).toBeInTheDocument();
    expect(within(under_way).getByRole("link", { name: "Tag scene 12" })).toHaveAttribute(
      "href",
      "/scenes/12",
    );
    now = { ...now, progress: 0.5 };
    await act(async () => void (await vi.advanceTimersByTimeAsync(2_100)));
    expect(within(under_way).getByRole("progressbar")).toHaveAttribute("aria-valuenow", "50");
    const before = asked(stash, "overview").length;
    now = {
      ...now,
      status: "done",
      output: { tagged: 1, failed: 0, asks: 4, written: { tags: 2 } },
    };
    await act(async () => void (await vi.advanceTimersByTimeAsync(2_100)));
    expect(
      await screen.findByText("1 scene tagged; 2 tags written; 4 suggestions wait for you."),
    ).toBeInTheDocument();
    await waitFor(() => expect(asked(stash, "overview").length).toBeGreaterThan(before));
  });

  test("what began and ended between two looks is counted too", async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    let jobs = [job({ id: "1" })];
    const stash = dashboard({ jobs: () => ({ jobs }) });
    await card("Errors");
    const before = asked(stash, "errors").length;
    jobs = [job({ id: "2" }), ...jobs];
    await act(async () => void (await vi.advanceTimersByTimeAsync(16_000)));
    await waitFor(() => expect(asked(stash, "errors").length).toBe(before + 1));
  });

  test("a job is cancelled, a task in Stash's queue is stopped", async () => {
    const stash = dashboard({
      jobs: () => ({ jobs: [job({ id: "7", status: "queued", scene_ids: ["3"], ahead: 2 })] }),
      cancel_job: () => ({ cancelled: true }),
    });
    expect(await screen.findByText("2 jobs go before it.")).toBeInTheDocument();
    act(() => stash.tell("ADD", task("40", "Running plugin task: Tag scenes", "READY")));
    act(() => stash.tell("ADD", task("41", "Scanning...", "RUNNING")));
    await userEvent.click(screen.getByRole("button", { name: "Cancel Tag scene 3" }));
    await waitFor(() => expect(asked(stash, "cancel_job")[0]?.args).toEqual({ job_id: "7" }));
    await userEvent.click(screen.getByRole("button", { name: "Cancel Tag scenes" }));
    await waitFor(() => expect(stash.stopped).toEqual(["40"]));
    expect(screen.queryByText("Scanning...")).toBeNull();
  });

  test("a task and the worker's job that does it are one thing", async () => {
    const stash = dashboard({
      jobs: () => ({
        jobs: [
          job({
            id: "9",
            mode: "tag_scenes",
            status: "running",
            progress: 0.4,
            lines: [{ level: "info", message: "Scene 5" }],
          }),
        ],
      }),
    });
    act(() =>
      stash.tell("ADD", task("50", "Running plugin task: Stash Sense: Tag the whole library")),
    );
    const row = await screen.findByRole("listitem", { name: "Tag the whole library" });
    expect(within(row).getByText("Scene 5")).toBeInTheDocument();
    expect(screen.getAllByText("running")).toHaveLength(1);
  });

  test("what failed says why and what to do; what is tried again says when", async () => {
    dashboard({
      jobs: () => ({
        jobs: [
          job({
            id: "2",
            status: "queued",
            next_at_s: 1_790_000_060,
            error: { message: "Stash does not answer", remedy: "" },
          }),
          job({
            id: "1",
            mode: "decide",
            status: "failed",
            error: { message: "The disk is full", remedy: "make room" },
          }),
        ],
      }),
    });
    expect(await screen.findByText(/Stash does not answer\. It is tried again at/)).toBeVisible();
    expect(screen.getByText("The disk is full. Make room.")).toBeInTheDocument();
  });

  test("polling is quick while something is under way, slow else, and ends with the page", async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    let under_way = true;
    const stash = new FakeStash({
      ...QUIET,
      jobs: () => ({ jobs: [job({ id: "1", status: under_way ? "running" : "done" })] }),
    });
    const page = show(<DashboardPage />);
    await screen.findByRole("listitem", { name: "Tag a scene" });
    const tick = async (ms: number) => {
      const before = asked(stash, "jobs").length;
      await act(async () => void (await vi.advanceTimersByTimeAsync(ms)));
      return asked(stash, "jobs").length - before;
    };
    expect(await tick(10_000)).toBeGreaterThanOrEqual(4);
    under_way = false;
    await tick(4_000);
    expect(await tick(10_000)).toBe(0);
    expect(await tick(8_000)).toBe(1);
    page.unmount();
    expect(await tick(60_000)).toBe(0);
  });

  test("a page that nobody sees asks nothing, and asks at once when it is seen again", async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    const stash = dashboard();
    await card("Now");
    const hidden = vi.spyOn(document, "hidden", "get").mockReturnValue(true);
    const before = asked(stash, "jobs").length;
    await act(async () => void (await vi.advanceTimersByTimeAsync(60_000)));
    expect(asked(stash, "jobs").length).toBe(before);
    hidden.mockReturnValue(false);
    await act(async () => void document.dispatchEvent(new Event("visibilitychange")));
    await waitFor(() => expect(asked(stash, "jobs").length).toBe(before + 1));
  });

  test("while the worker is away what was known stays beside the reason", async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    let away = false;
    dashboard({
      jobs: () => {
        if (away) throw new Error("The worker does not answer");
        return { jobs: [job({ id: "1", status: "running", scene_ids: ["4"] })] };
      },
    });
    await screen.findByRole("listitem", { name: "Tag scene 4" });
    away = true;
    await act(async () => void (await vi.advanceTimersByTimeAsync(2_500)));
    expect(await screen.findByText("The worker does not answer")).toBeInTheDocument();
    expect(screen.getByRole("listitem", { name: "Tag scene 4" })).toBeInTheDocument();
    away = false;
    await act(async () => void (await vi.advanceTimersByTimeAsync(2_500)));
    await waitFor(() => expect(screen.queryByText("The worker does not answer")).toBeNull());
  });
});

describe("beginning work", () => {
  test("all that is to do is tagged by one click", async () => {
    const stash = dashboard();
    await userEvent.click(await screen.findByRole("button", { name: "Tag all with TagMe (7)" }));
    await waitFor(() =>
      expect(stash.tasks).toEqual([
        { mode: "tag_scenes", description: "Stash Sense: Tag scenes", args: {} },
      ]),
    );
    expect(await screen.findByText("It waits for its turn in Stash's queue.")).toBeVisible();
    const button = screen.getByRole("button", { name: /Tag all with TagMe/ });
    expect(button).toHaveAttribute("aria-disabled", "true");
    expect(button).toHaveFocus();
    expect(button).toBeEnabled();
    await userEvent.keyboard("{Enter}");
    expect(stash.tasks).toHaveLength(1);
  });

  test("the whole library is tagged after a question that says how many scenes", async () => {
    const stash = dashboard();
    await screen.findByRole("button", { name: "Tag all with TagMe (7)" });
    await userEvent.click(screen.getByRole("button", { name: "Tag the whole library" }));
    const dialog = await screen.findByRole("dialog");
    expect(
      within(dialog).getByText(/38,000 scenes of 50,000 without the tag Tagged/),
    ).toBeVisible();
    expect(within(dialog).getByText(/about 21 h/)).toBeVisible();
    await userEvent.click(within(dialog).getByRole("button", { name: "Cancel" }));
    expect(stash.tasks).toEqual([]);
    await userEvent.click(screen.getByRole("button", { name: "Tag the whole library" }));
    await userEvent.click(
      within(await screen.findByRole("dialog")).getByRole("button", { name: "Tag them" }),
    );
    await waitFor(() => expect(stash.tasks[0]?.args).toEqual({ all: true }));
  });

  test("a library without scenes offers nothing to tag and says what to do", async () => {
    dashboard({ overview: () => NO_SCENES });
    expect(await screen.findByText(/Stash has no scenes yet/)).toBeInTheDocument();
    for (const name of [/Tag all with TagMe/, "Tag the whole library", "Decide again"]) {
      expect(screen.getByRole("button", { name })).toHaveAttribute("aria-disabled", "true");
    }
    expect(screen.getByText(/measured while scenes are looked at/)).toBeInTheDocument();
  });
});

describe("Library and Speed", () => {
  test("say how far it is, what waits, and what limits", async () => {
    dashboard();
    const library = await card("Library");
    expect(within(library).getByText("12,345 of 50,000 scenes (25%) looked at")).toBeVisible();
    expect(within(library).getByRole("link", { name: "1,234" })).toHaveAttribute(
      "href",
      "/plugins/stash-sense",
    );
    const speed = await card("Speed");
    expect(within(speed).getByText("2 s a scene")).toBeInTheDocument();
    expect(within(speed).getByText(/fewer frames for text would help\./)).toBeInTheDocument();
    const parts = within(speed).getAllByRole("listitem");
    expect(parts[0]).toHaveTextContent("Text on screen on cpu80%, 3 min for 1,200 pictures");
  });

  test("models are called as on the page of a scene", async () => {
    const coverage = ["nudenet-320n@1", "yolov8n@2"].map((made) => ({
      detector: "objects",
      model: made,
      scenes: 1,
    }));
    const chosen = model({ name: "clip-vit-b32", chosen: "the preset fast", here: true });
    dashboard({
      overview: () => overview({ coverage }),
      models: () => ({ preset: "fast", why: "chosen", models: [chosen] }),
    });
    const library = await card("Library");
    expect(within(library).getByRole("cell", { name: "NudeNet" })).toHaveAttribute(
      "title",
      "nudenet-320n@1",
    );
    expect(within(library).getByRole("cell", { name: "YOLOv8n" })).toBeInTheDocument();
    const models = await card("Models");
    expect(within(models).getByText(/; chosen: CLIP ViT-B\/32$/)).toBeVisible();
    const item = within(models).getByRole("listitem");
    // What the settings and the tasks call it stays beside.
    expect(item).toHaveTextContent(/^CLIP ViT-B\/32clip-vit-b32chosen/);
  });

  test("settings that cannot be used come first", async () => {
    dashboard({ overview: () => overview({ complaints: ["Setting frames: 9999 is too many."] }) });
    expect(await screen.findByText("Setting frames: 9999 is too many.")).toBeInTheDocument();
    expect(screen.getByRole("link", { name: "Change the settings" })).toBeInTheDocument();
  });
});

describe("Errors", () => {
  test("a scene is tried again, and what came of it is told", async () => {
    let tried = false;
    const over = job({ id: "j", output: { tagged: 1, failed: 0, written: {} } });
    const stash = dashboard({
      errors: () => ({ errors: tried ? [] : [failed("5"), failed("6")], next: null }),
      tag_scene: () => ({ job_id: "j" }),
      job: () => {
        tried = true;
        return over;
      },
      jobs: () => ({ jobs: tried ? [over] : [] }),
    });
    const errors = await card("Errors");
    expect(within(errors).getAllByText("The file holds no picture.")).toHaveLength(2);
    expect(within(errors).getAllByText("Copy it anew.")).toHaveLength(2);
    await userEvent.click(within(errors).getByRole("button", { name: "Try scene 5.mp4 again" }));
    await waitFor(() => expect(asked(stash, "tag_scene")[0]?.args).toEqual({ scene_id: "5" }));
    expect(await within(errors).findByText("No scene failed.")).toBeInTheDocument();
    expect(screen.getByRole("status")).toHaveTextContent("scene 5.mp4: 1 scene tagged.");
    expect(await within(await card("Now")).findByText("1 scene tagged.")).toBeInTheDocument();
  });

  test("the focus stays on what is tried again, and goes on to what came of it", async () => {
    let tried = false;
    let ended = false;
    dashboard({
      errors: () => ({ errors: tried ? [] : [failed("5")], next: null }),
      tag_scene: () => ({ job_id: "j" }),
      job: () => {
        tried = ended;
        const output = { tagged: 1, failed: 0, written: {} };
        return ended ? job({ id: "j", output }) : job({ id: "j", status: "running" });
      },
    });
    const again = await screen.findByRole("button", { name: "Try scene 5.mp4 again" });
    again.focus();
    await userEvent.keyboard("{Enter}");
    await waitFor(() => expect(again).toHaveTextContent("Trying"));
    expect(again).toHaveFocus();
    expect(again).toBeEnabled();
    ended = true;
    expect(await screen.findByText("No scene failed.")).toBeInTheDocument();
    expect(screen.getByText("scene 5.mp4, tried again: 1 scene tagged.")).toHaveFocus();
  });

  test("one that fails again keeps its row with the reason", async () => {
    dashboard({
      errors: () => ({ errors: [failed("5", { source: `/m/${HOSTILE}.mp4` })], next: null }),
      tag_scene: () => ({ job_id: "j" }),
      job: () =>
        job({
          id: "j",
          output: { tagged: 0, failed: 1, errors: [{ scene_id: "5", message: "still damaged" }] },
        }),
    });
    const errors = await card("Errors");
    expect(within(errors).getByText(`1)>.mp4`, { exact: false })).toBeInTheDocument();
    expect(errors.querySelector("img")).toBeNull();
    await userEvent.click(within(errors).getByRole("button", { name: /^Try .*mp4 again$/ }));
    expect(
      await within(errors).findByText(/tried again: 0 scenes tagged; 1 failed; still damaged\./),
    ).toBeInTheDocument();
  });

  test("all are tried again, those of later pages too", async () => {
    const stash = dashboard({
      errors: ({ after, limit }) =>
        limit === 10 || after === undefined
          ? { errors: [failed("1"), failed("2")], next: "2" }
          : { errors: [failed("3")], next: null },
    });
    await userEvent.click(await screen.findByRole("button", { name: "Try all again" }));
    const dialog = await screen.findByRole("dialog", { name: "Look at 3 scenes again?" });
    await userEvent.click(within(dialog).getByRole("button", { name: "Try again" }));
    await waitFor(() => expect(stash.tasks[0]?.args).toEqual({ ids: ["1", "2", "3"] }));
  });

  test("are gone through page by page", async () => {
    dashboard({
      errors: ({ after }) =>
        after === undefined
          ? { errors: [failed("1")], next: "1" }
          : { errors: [failed("2")], next: null },
    });
    const errors = await card("Errors");
    await userEvent.click(within(errors).getByRole("button", { name: "Older" }));
    expect(await within(errors).findByText("scene 2.mp4")).toBeInTheDocument();
    expect(within(errors).getByText("Page 2")).toBeInTheDocument();
    const older = within(errors).getByRole("button", { name: "Older" });
    expect(older).toHaveAttribute("aria-disabled", "true");
    expect(older).toHaveFocus();
    expect(older).toBeEnabled();
    await userEvent.click(within(errors).getByRole("button", { name: "Newer" }));
    expect(await within(errors).findByText("scene 1.mp4")).toBeInTheDocument();
  });
});

describe("Models", () => {
  const models = (...rows: Shapes["ModelRow"][]) => ({
    models: () => ({ preset: "fast", why: "auto chose fast: 2 processor cores", models: rows }),
  });

  test("a setting that names no model is said, with what runs in its place", async () => {
    const complaint =
      "Setting clip_model: There is no model called 'clip-x': choose one of clip-a; clip-a runs in its place.";
    const told = models(model({ name: "clip-a", chosen: "the preset fast" })).models();
    dashboard({ models: () => ({ ...told, complaints: [complaint] }) });
    expect(await screen.findByText(complaint)).toBeVisible();
  });

  test("a download moves with Stash's queue and ends with our own job's word", async () => {
    let fetched: Shapes["JobTold"][] = [];
    const stash = dashboard({
      ...models(model({ name: "clip-a", disk_megabytes: 12 })),
      jobs: () => ({ jobs: fetched }),
    });
    await open_group();
    expect(screen.getByText(/12 MB of 350 MB are here/)).toBeInTheDocument();
    await userEvent.click(screen.getByRole("button", { name: "Download clip-a" }));
    await waitFor(() =>
      expect(stash.tasks).toEqual([
        {
          mode: "pull_models",
          description: "Stash Sense: Download clip-a",
          args: { names: ["clip-a"] },
        },
      ]),
    );
    act(() => stash.tell("UPDATE", { id: "1", status: "RUNNING", progress: 0.6 }));
    const bar = await screen.findByRole("progressbar", { name: "Downloading clip-a" });
    expect(bar).toHaveAttribute("aria-valuenow", "60");
    fetched = [
      job({
        id: "d",
        mode: "pull_models",
        status: "failed",
        error: { message: "clip-a did not come", remedy: "check the network" },
      }),
    ];
    act(() => stash.tell("REMOVE", { id: "1", status: "FINISHED" }));
    expect(await screen.findByRole("alert")).toHaveTextContent(
      "clip-a did not come. Check the network.",
    );
    expect(screen.getByRole("button", { name: "Download clip-a" })).toBeEnabled();
  });

  test("a download is followed where no news of Stash's queue comes", async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    let fetched: Shapes["JobTold"][] = [];
    const stash = dashboard({
      ...models(model({ name: "clip-a" })),
      jobs: () => ({ jobs: fetched }),
    });
    stash.silent = true;
    fireEvent.click(await screen.findByText("Scenes as a whole, by words"));
    fireEvent.click(screen.getByRole("button", { name: "Download clip-a" }));
    await waitFor(() => expect(stash.tasks).toHaveLength(1));
    stash.tell("UPDATE", { id: "1", status: "RUNNING", progress: 0.6 });
    await act(async () => void (await vi.advanceTimersByTimeAsync(6_000)));
    const bar = screen.getByRole("progressbar", { name: "Downloading clip-a" });
    expect(bar).toHaveAttribute("aria-valuenow", "60");
    const output = { models: [{ name: "clip-a" }] };
    fetched = [job({ id: "d", mode: "pull_models", output })];
    stash.tell("REMOVE", { id: "1" });
    await act(async () => void (await vi.advanceTimersByTimeAsync(6_000)));
    expect(screen.queryByRole("progressbar", { name: "Downloading clip-a" })).toBeNull();
    expect(screen.getAllByText("Made ready: clip-a.").length).toBeGreaterThan(0);
  });

  test("of two downloads each is told what came of itself", async () => {
    let jobs: Shapes["JobTold"][] = [];
    const stash = dashboard({
      ...models(model({ name: "alpha" }), model({ name: "beta" })),
      jobs: () => ({ jobs }),
    });
    await open_group();
    await userEvent.click(screen.getByRole("button", { name: "Download alpha" }));
    await waitFor(() => expect(stash.tasks).toHaveLength(1));
    await userEvent.click(screen.getByRole("button", { name: "Download beta" }));
    await waitFor(() => expect(stash.tasks).toHaveLength(2));
    const row = (name: string) =>
      screen.getAllByRole("listitem").find((each) => each.textContent?.startsWith(name));
    const error = { message: "no route to host", remedy: "" };
    const alpha = job({ id: "a", mode: "pull_models", status: "failed", error });
    // Stash began the second before the page could ask.
    jobs = [job({ id: "b", mode: "pull_models", status: "running" }), alpha];
    act(() => stash.tell("REMOVE", { id: "1", status: "FINISHED" }));
    await waitFor(() => expect(row("alpha")).toHaveTextContent("no route to host."));
    const output = { models: [{ name: "beta" }] };
    jobs = [job({ id: "b", mode: "pull_models", output }), alpha];
    act(() => stash.tell("REMOVE", { id: "2", status: "FINISHED" }));
    await waitFor(() => expect(row("beta")).toHaveTextContent("Made ready: beta."));
    expect(row("alpha")).toHaveTextContent("no route to host.");
  });

  test("where Stash does not take the download of what is chosen, it says why", async () => {
    dashboard(models(model({ name: "clip-a", chosen: "the preset fast" })));
    const button = await screen.findByRole("button", { name: /^Download it/ });
    const client = window.PluginApi.utils.StashService.getClient();
    const mutate = vi
      .spyOn(client, "mutate")
      .mockRejectedValueOnce(new Error("Stash is read only"));
    await userEvent.click(button);
    expect(await screen.findByText("Stash is read only")).toHaveAttribute("role", "alert");
    mutate.mockRestore();
    await userEvent.click(button);
    await waitFor(() => expect(screen.queryByText("Stash is read only")).toBeNull());
  });

  test("a licence that does not allow every use is accepted by its very name", async () => {
    const row = {
      name: "clip-nc",
      licence: "apple-amlr",
      commercial: false,
      accepted: false,
      page: "https://hub/x",
    };
    const stash = dashboard(models(model(row)));
    await open_group();
    await userEvent.click(screen.getByRole("button", { name: "Download clip-nc" }));
    const dialog = await screen.findByRole("dialog", { name: "The licence of clip-nc" });
    const accept = within(dialog).getByRole("button", { name: "Accept and download" });
    expect(accept).toBeDisabled();
    expect(within(dialog).getByRole("link")).toHaveAttribute("href", "https://hub/x");
    const field = within(dialog).getByRole("textbox");
    await userEvent.type(field, "apple");
    expect(accept).toBeDisabled();
    await userEvent.type(field, "-amlr{Enter}");
    await waitFor(() =>
      expect(stash.tasks[0]?.args).toEqual({ names: ["clip-nc"], accept: "apple-amlr" }),
    );
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  });

  test("one that is here is removed after a question that says what lacks then", async () => {
    const stash = dashboard(
      models(
        model({ name: "clip-a", here: true, disk_megabytes: 350, chosen: "the preset fast" }),
        model({ name: "nudenet", here: true, chosen: "always", page: "javascript:alert(1)" }),
      ),
    );
    await open_group();
    expect(screen.queryByRole("button", { name: "Remove nudenet" })).toBeNull();
    expect(screen.queryByRole("link", { name: "Its publisher's page" })).toBeNull();
    await userEvent.click(screen.getByRole("button", { name: "Remove clip-a" }));
    const dialog = await screen.findByRole("dialog", { name: "Remove clip-a?" });
    expect(dialog).toHaveTextContent("350 MB become free");
    expect(dialog).toHaveTextContent("scenes that are tagged meanwhile lack it");
    await userEvent.click(within(dialog).getByRole("button", { name: "Remove" }));
    await waitFor(() => expect(stash.tasks[0]?.args).toEqual({ names: ["clip-a"] }));
  });

  test("what is chosen and not here is fetched by one button", async () => {
    const stash = dashboard(models(model({ name: HOSTILE, chosen: "the preset fast" })));
    expect(await screen.findByText(/is wanted and not here/)).toHaveTextContent(HOSTILE);
    await userEvent.click(screen.getByRole("button", { name: "Download it (350 MB)" }));
    await waitFor(() => expect(stash.tasks[0]?.mode).toBe("download_models"));
  });

  async function open_group() {
    await userEvent.click(await screen.findByText("Scenes as a whole, by words"));
  }
});

describe("Accuracy", () => {
  test("without an evaluation it says what it needs, and the button begins one", async () => {
    const stash = dashboard();
    const accuracy = await card("Accuracy");
    expect(within(accuracy).getByText(/needs scenes that you tagged by hand/)).toBeInTheDocument();
    await userEvent.click(within(accuracy).getByRole("button", { name: "Evaluate" }));
    await waitFor(() => expect(stash.tasks[0]?.mode).toBe("evaluate"));
  });

  test("the figures stand in words, in plots with a name, and in tables", async () => {
    dashboard({ evaluation: () => EVALUATED });
    const accuracy = await card("Accuracy");
    expect(within(accuracy).getByText(/Of 100 tags that are written, 91 are right/)).toBeVisible();
    expect(within(accuracy).getByRole("img", { name: /90% sure, 88% right/ })).toBeInTheDocument();
    await userEvent.click(within(accuracy).getByText("Figures of 1 tag"));
    const row = within(accuracy).getByRole("rowheader", { name: "<b>Beach</b>" });
    expect(row.closest("tr")).toHaveTextContent("<b>Beach</b>2403195%50%80%90%");
    expect(accuracy.querySelector("b")).toBeNull();
  });
});

describe("Runs", () => {
  test("undo names what is taken back, runs as a task and says what came of it", async () => {
    let jobs: Shapes["JobTold"][] = [];
    let undone = false;
    const stash = dashboard({
      jobs: () => ({ jobs }),
      runs: () => ({
        runs: [run({ run_id: "r1", tags: 12, markers: 1, workflow_moves: 4, verdicts: 2, undone })],
        next: null,
      }),
    });
    const runs = await card("Runs");
    expect(
      within(runs).getByText(/12 tags, 1 marker, workflow tags of 4 scenes, 2 answers of yours/),
    ).toBeVisible();
    await userEvent.click(within(runs).getByRole("button", { name: /^Undo Tag scenes of/ }));
    const dialog = await screen.findByRole("dialog", { name: /Undo Tag scenes of/ });
    expect(within(dialog).getByText("12 tags and 1 marker taken off their scenes")).toBeVisible();
    expect(within(dialog).getByText(/What you said of 2 suggestions forgotten/)).toBeVisible();
    await userEvent.click(within(dialog).getByRole("button", { name: "Undo" }));
    await waitFor(() =>
      expect(stash.tasks[0]).toMatchObject({ mode: "undo", args: { what: "run", run: "r1" } }),
    );
    const button = within(runs).getByRole("button", { name: /^Undo Tag scenes of/ });
    await waitFor(() => expect(button).toHaveFocus());
    expect(button).toHaveAttribute("aria-disabled", "true");
    expect(button).toBeEnabled();
    jobs = [
      job({
        id: "u",
        mode: "undo",
        output: { taken_back: { tags: 11, markers: 1 }, left: { "you changed it since": 1 } },
      }),
    ];
    undone = true;
    act(() => stash.tell("REMOVE", { id: "1", status: "FINISHED" }));
    const told = /11 tags and 1 marker taken back; 1 left because you changed it since\./;
    expect(await within(runs).findByText(told)).toBeInTheDocument();
    expect(await within(runs).findByText("undone")).toBeInTheDocument();
    expect(within(runs).queryByRole("button", { name: /^Undo/ })).toBeNull();
    expect(within(runs).getByText(told)).toHaveFocus();
  });

  test("where the row goes before it is told what came of it, the focus goes on to that", async () => {
    let jobs: Shapes["JobTold"][] = [];
    let undone = false;
    const stash = dashboard({
      jobs: () => ({ jobs }),
      runs: () => ({ runs: [run({ run_id: "r1", tags: 1, undone })], next: null }),
    });
    const runs = await card("Runs");
    await userEvent.click(within(runs).getByRole("button", { name: /^Undo/ }));
    const dialog = await screen.findByRole("dialog");
    await userEvent.click(within(dialog).getByRole("button", { name: "Undo" }));
    await waitFor(() => expect(within(runs).getByRole("button", { name: /^Undo/ })).toHaveFocus());
    jobs = [job({ id: "u", mode: "undo", output: { taken_back: { tags: 1 } } })];
    undone = true;
    // The worker's own list of jobs is asked for again, before Stash says that the task is over.
    expect(await within(runs).findByText("undone")).toBeInTheDocument();
    expect(within(runs).getByRole("heading", { name: "Runs" })).toHaveFocus();
    act(() => stash.tell("REMOVE", { id: "1", status: "FINISHED" }));
    expect(await within(runs).findByText(/1 tag taken back\./)).toHaveFocus();
  });

  test("a task that is over before it is waited for is told all the same", async () => {
    let jobs: Shapes["JobTold"][] = [];
    const stash = dashboard({
      jobs: () => ({ jobs }),
      runs: () => ({ runs: [run({ run_id: "r1", tags: 1 })], next: null }),
    });
    const tell = stash.tell.bind(stash);
    stash.tell = (type, told) => {
      tell(type, told);
      if (type !== "ADD") return;
      jobs = [job({ id: "u", mode: "undo", output: { taken_back: { tags: 1 } } })];
      tell("REMOVE", { ...told, status: "FINISHED" });
    };
    const runs = await card("Runs");
    await userEvent.click(within(runs).getByRole("button", { name: /^Undo/ }));
    await userEvent.click(
      within(await screen.findByRole("dialog")).getByRole("button", { name: "Undo" }),
    );
    expect(
      await within(runs).findByText(/^Undo Tag scenes of .*: 1 tag taken back\./),
    ).toBeInTheDocument();
  });

  test("what came of one before is not told as its own, however late that is known", async () => {
    const old = job({ id: "old", mode: "undo", output: { taken_back: { tags: 5 } } });
    let jobs = [old];
    const stash = new FakeStash({
      ...QUIET,
      jobs: () => ({ jobs }),
      runs: () => ({ runs: [run({ run_id: "r1", tags: 1 })], next: null }),
    });
    const known = stash.holds("jobs");
    show(<DashboardPage />);
    const runs = await card("Runs");
    await userEvent.click(within(runs).getByRole("button", { name: /^Undo/ }));
    const dialog = await screen.findByRole("dialog");
    await userEvent.click(within(dialog).getByRole("button", { name: "Undo" }));
    known();
    await waitFor(() => expect(stash.tasks).toHaveLength(1));
    jobs = [job({ id: "new", mode: "undo", output: { taken_back: { tags: 1 } } }), old];
    act(() => stash.tell("REMOVE", { id: "1", status: "FINISHED" }));
    expect(await within(runs).findByText(/: 1 tag taken back\./)).toBeInTheDocument();
  });

  test("what Stash refuses is said in the dialog, which stays", async () => {
    dashboard({ runs: () => ({ runs: [run({ run_id: "r1", studios: 1 })], next: null }) });
    const runs = await card("Runs");
    await userEvent.click(within(runs).getByRole("button", { name: /^Undo/ }));
    const dialog = await screen.findByRole("dialog");
    vi.spyOn(window.PluginApi.utils.StashService.getClient(), "mutate").mockRejectedValue(
      new Error("Stash is read only"),
    );
    await userEvent.click(within(dialog).getByRole("button", { name: "Undo" }));
    expect(await within(dialog).findByRole("alert")).toHaveTextContent("Stash is read only");
  });
});

describe("Doctor", () => {
  test("problems come first, what is in order is folded, a thorough check is asked for", async () => {
    const stash = dashboard();
    const doctor = await card("Doctor");
    const facts = within(doctor).getAllByRole("listitem");
    expect(facts[0]).toHaveTextContent("problemLibrary folder");
    expect(facts[0]).toHaveTextContent("Mount it at the same path.");
    expect(facts[1]).toHaveTextContent("noteSprites");
    expect(within(doctor).getByText("1 thing in order").closest("details")).not.toHaveAttribute(
      "open",
    );
    await userEvent.click(within(doctor).getByRole("button", { name: "Check thoroughly" }));
    await waitFor(() =>
      expect(asked(stash, "doctor").map((call) => call.args)).toContainEqual({ thorough: true }),
    );
  });

  test("where all is well it says so", async () => {
    dashboard({ doctor: () => ({ ...DOCTOR, problems: 0, notes: 0, facts: [] }) });
    expect(await screen.findByText("All is well.")).toBeInTheDocument();
  });
});

test("the headings are in order", async () => {
  dashboard({ evaluation: () => EVALUATED });
  await card("Accuracy");
  const levels = screen.getAllByRole("heading").map((heading) => Number(heading.tagName.slice(1)));
  expect(levels[0]).toBe(1);
  for (const [place, level] of levels.entries()) {
    expect(level - (levels[place - 1] ?? level)).toBeLessThanOrEqual(1);
  }
});

function task(id: string, description: string, status: "READY" | "RUNNING" = "RUNNING") {
  return { id, description, status, progress: null, error: null, subTasks: null };
}
