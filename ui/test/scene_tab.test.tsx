import { act, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import React from "react";
import { MemoryRouter } from "react-router-dom";
import { afterEach, describe, expect, test, vi } from "vitest";
import { forgetPictures } from "../src/parts/pictures";
import { type PageScene, SceneTab } from "../src/scene/SceneTab";
import type { Modes, Shapes } from "../src/stash/calls";
import { FakeStash, show } from "./fake_stash";
import { job, proof, type Row, row, scene } from "./scene_rows";

const PAGE: PageScene = { id: "7", title: "A day out", files: [{ duration: 100 }], tags: [] };
const HOSTILE = '<img src=x onerror="alert(1)">';

afterEach(() => {
  vi.useRealTimers();
  forgetPictures("7");
  vi.unstubAllGlobals();
});

const VERDICT = { run_id: "r", dry_run: false, failed: 0, failures: [] };

/** A worker that remembers what is said of its suggestions. */
class Worker {
  readonly played: number[] = [];
  fails: Shapes["NotDone"][] = [];
  told: Modes["scene"]["told"];
  readonly stash: FakeStash;

  constructor(told: Modes["scene"]["told"]) {
    this.told = told;
    this.stash = new FakeStash({
      scene: () => this.told,
      pictures: ({ times_s }) => ({
        pictures: times_s.map((time_s) => ({ time_s, tile: null, data: null })),
        note: "",
      }),
      accept: ({ items = [] }) => {
        const count = this.say(items, "accepted", "ours");
        const failed = { failed: this.fails.length, failures: this.fails };
        return { ...VERDICT, ...failed, accepted: count, written: count, there: 0, markers: 0 };
      },
      refuse: ({ items = [] }) => {
        const refused = this.say(items, "refused", "absent");
        return { ...VERDICT, refused, taken_back: 0, markers: 0, not_ours: 0, left: [] };
      },
      unsay: ({ items = [] }) => {
        const unsaid = this.say(items, null, "absent");
        return { ...VERDICT, unsaid, taken_back: unsaid, written: 0, markers: 0, left: [] };
      },
    });
  }

  private say(items: Shapes["Named"][], said: Row["said"], in_stash: Row["in_stash"]): number {
    const what = ({ kind = "tag", name }: { kind?: string; name: string }) => `${kind} ${name}`;
    const failed = new Set(this.fails.map(what));
    const done = new Set(items.map(what).filter((each) => !failed.has(each)));
    this.told = {
      ...this.told,
      suggestions: this.told.suggestions.map((each) =>
        done.has(what(each)) ? { ...each, said, in_stash } : each,
      ),
    };
    return done.size;
  }

  get modes(): string[] {
    return this.stash.calls.map(({ mode }) => mode).filter((mode) => mode !== "pictures");
  }

  show() {
    return show(<SceneTab scene={PAGE} seek={(seconds) => this.played.push(seconds)} />);
  }
}

const tags = (): HTMLElement => screen.getByRole("region", { name: "Tags" });
const head = (name: string) => screen.getByRole("button", { name: new RegExp(`^${name}`) });
const found = (name: string) => screen.findByRole("button", { name: new RegExp(`^${name}`) });
const names = () =>
  [...document.querySelectorAll("[data-sense-row] .tag-item")].map((each) => each.textContent);

describe("how a scene stands", () => {
  test("nothing is asked before the tab is looked at", async () => {
    const watched: (() => void)[] = [];
    vi.stubGlobal(
      "IntersectionObserver",
      class {
        constructor(call: (entries: { isIntersecting: boolean }[]) => void) {
          watched.push(() => call([{ isIntersecting: true }]));
        }
        observe() {}
        disconnect() {}
      },
    );
    const worker = new Worker(scene([]));
    worker.show();
    expect(worker.modes).toEqual([]);
    act(() => watched[0]?.());
    expect(await screen.findByRole("button", { name: "Tag this scene" })).toBeEnabled();
    expect(worker.modes).toEqual(["scene"]);
  });

  test("what is changed in Stash's own tabs is seen", async () => {
    const worker = new Worker(scene([row("Beach")]));
    const tab = (tags: PageScene["tags"]) => (
      <MemoryRouter>
        <SceneTab scene={{ ...PAGE, tags }} seek={() => undefined} />
      </MemoryRouter>
    );
    const { rerender } = render(tab([]));
    await screen.findByRole("button", { name: "Accept Beach" });
    rerender(tab([]));
    expect(worker.modes).toEqual(["scene"]);
    worker.told = scene([row("Beach", { in_stash: "there" })]);
    rerender(tab([{ id: "5", name: "Beach" }]));
    await waitFor(() => expect(screen.queryByRole("button", { name: "Accept Beach" })).toBeNull());
    expect(worker.modes).toEqual(["scene", "scene"]);
  });

  test("a job that was begun elsewhere is seen when the tab is looked at again", async () => {
    const watching = new Set<(entries: { isIntersecting: boolean }[]) => void>();
    vi.stubGlobal(
      "IntersectionObserver",
      class {
        constructor(private call: (entries: { isIntersecting: boolean }[]) => void) {}
        observe() {
          watching.add(this.call);
        }
        disconnect() {
          watching.delete(this.call);
        }
      },
    );
    const isInSight = (isIntersecting: boolean) =>
      act(() => {
        for (const call of [...watching]) call([{ isIntersecting }]);
      });
    const worker = new Worker(scene([]));
    worker.stash.answers.job = () => job();
    worker.show();
    isInSight(true);
    await screen.findByRole("button", { name: "Tag this scene" });
    isInSight(true);
    isInSight(false);
    worker.told = scene([], { job: job() });
    expect(worker.modes).toEqual(["scene"]);
    isInSight(true);
    expect(await screen.findByRole("progressbar")).toBeInTheDocument();
  });

  test("a scene that was never looked at says what the button does", async () => {
    new Worker(scene([], { looked_at_s: null })).show();
    expect(await screen.findByText(/has not looked at this scene yet/)).toBeInTheDocument();
  });

  test("where nothing was found it says so", async () => {
    new Worker(scene([], { ran: [RAN] })).show();
    expect(await screen.findByText(/Nothing was found in it/)).toBeInTheDocument();
  });

  test("where no model is there it says that nothing could look", async () => {
    new Worker(scene([], { skipped: [SKIPPED] })).show();
    expect(await screen.findByRole("alert")).toHaveTextContent("Nothing could look at this scene");
  });

  test("a failure is shown with its reason and what helps", async () => {
    const error = { kind: "MediaError", message: "The file is broken", remedy: "scan it again" };
    new Worker(scene([], { error })).show();
    const alert = await screen.findByRole("alert");
    expect(alert).toHaveTextContent("The file is broken");
    expect(alert).toHaveTextContent("What helps: scan it again");
  });

  test("another file than was looked at is said", async () => {
    new Worker(scene([row("Beach")], { changed: true })).show();
    expect(await screen.findByRole("alert")).toHaveTextContent("has another file than");
  });

  test("a scene without a file cannot be tagged", async () => {
    new FakeStash({ scene: () => scene([], { looked_at_s: null, duration_s: null }) });
    show(<SceneTab scene={{ ...PAGE, files: [] }} seek={() => {}} />);
    expect(await screen.findByRole("button", { name: "Tag this scene" })).toBeDisabled();
    expect(screen.getByText("It has no file to look at.")).toBeInTheDocument();
  });

  test("where the worker is away one can try again", async () => {
    let away = true;
    new FakeStash({
      scene: () => {
        if (away) throw new Error("Stash Sense does not answer");
        return scene([row("Beach")]);
      },
    });
    show(<SceneTab scene={PAGE} seek={() => {}} />);
    expect(await screen.findByText("Stash Sense does not answer")).toBeInTheDocument();
    away = false;
    await userEvent.click(screen.getByRole("button", { name: "Try again" }));
    expect(await screen.findByText("Beach")).toBeInTheDocument();
  });
});

describe("tagging", () => {
  test("shows how far it is, what goes before it, and what came of it", async () => {
    const worker = new Worker(scene([], { looked_at_s: null }));
    let now = job({ status: "queued", ahead: 2 });
    worker.stash.answers.tag_scene = () => ({ job_id: "j1" });
    worker.stash.answers.job = () => now;
    worker.show();
    await userEvent.click(await screen.findByRole("button", { name: "Tag this scene" }));
    expect(await screen.findByText("Waiting: 2 jobs go before it")).toBeInTheDocument();
    const button = screen.getByRole("button", { name: "Tag this scene" });
    expect(button).toHaveAttribute("aria-disabled", "true");
    await userEvent.click(button);
    expect(worker.modes.filter((mode) => mode === "tag_scene")).toHaveLength(1);
    now = job({ progress: 0.42, lines: [{ level: "info", message: "Looking for objects" }] });
    expect(await screen.findByText("Looking for objects")).toBeInTheDocument();
    expect(screen.getByRole("progressbar")).toHaveAttribute("aria-valuenow", "42");
    worker.told = scene([row("Beach")]);
    now = job({ status: "done", progress: 1 });
    expect(await screen.findByText("Beach")).toBeInTheDocument();
    expect(screen.queryByRole("progressbar")).toBeNull();
    expect(button).toHaveAttribute("aria-disabled", "false");
    expect(worker.stash.calls.find(({ mode }) => mode === "tag_scene")?.args).toEqual({
      scene_id: "7",
    });
  });

  test("is cancelled", async () => {
    const worker = new Worker(scene([]));
    let status: "running" | "cancelled" = "running";
    worker.stash.answers.tag_scene = () => ({ job_id: "j1" });
    worker.stash.answers.job = () => job({ status });
    worker.stash.answers.cancel_job = ({ job_id }) => {
      expect(job_id).toBe("j1");
      status = "cancelled";
      return { cancelled: true };
    };
    worker.show();
    await userEvent.click(await screen.findByRole("button", { name: "Tag this scene" }));
    await waitFor(() => expect(screen.getByRole("button", { name: "Cancel" })).toBeEnabled());
    await userEvent.click(screen.getByRole("button", { name: "Cancel" }));
    expect(await screen.findByText("It was cancelled.")).toBeInTheDocument();
  });

  test("keeps the focus on its button, and brings it back from Cancel", async () => {
    const worker = new Worker(scene([]));
    let status: "running" | "cancelled" | "done" = "running";
    worker.stash.answers.tag_scene = () => ({ job_id: "j1" });
    worker.stash.answers.job = () => job({ status });
    worker.stash.answers.cancel_job = () => {
      status = "cancelled";
      return { cancelled: true };
    };
    worker.show();
    const button = await screen.findByRole("button", { name: "Tag this scene" });
    button.focus();
    await userEvent.keyboard("{Enter}");
    const cancel = await screen.findByRole("button", { name: "Cancel" });
    await waitFor(() => expect(cancel).toBeEnabled());
    expect(button).toHaveFocus();
    expect(button).toBeEnabled();
    cancel.focus();
    await userEvent.keyboard("{Enter}");
    expect(cancel).toHaveFocus();
    expect(await screen.findByText("It was cancelled.")).toBeInTheDocument();
    expect(button).toHaveFocus();
  });

  test.each([
    ["is carried out", true],
    ["never arrives", false],
  ])("a cancel whose answer is lost begins nothing, where it %s", async (_, arrives) => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    let status: "running" | "cancelled" = "running";
    const worker = new Worker(scene([], { job: job() }));
    worker.stash.answers.job = () => job({ status });
    worker.stash.answers.tag_scene = () => ({ job_id: "j2" });
    let cancels = 0;
    worker.stash.answers.cancel_job = () => {
      cancels += 1;
      if (arrives || cancels === 2) status = "cancelled";
      if (cancels === 1) throw new Error("Failed to fetch");
      return { cancelled: true };
    };
    worker.show();
    fireEvent.click(await screen.findByRole("button", { name: "Cancel" }));
    await act(async () => void (await vi.advanceTimersByTimeAsync(12_000)));
    expect(worker.modes).not.toContain("tag_scene");
    expect(cancels).toBe(1);
    if (!arrives) {
      expect(screen.getByRole("alert")).toHaveTextContent("Stash does not answer");
      expect(screen.queryByText(/asked again by itself/)).toBeNull();
      fireEvent.click(screen.getByRole("button", { name: "Try again" }));
      await act(async () => void (await vi.advanceTimersByTimeAsync(1_000)));
      expect(cancels).toBe(2);
    }
    expect(await screen.findByText("It was cancelled.")).toBeInTheDocument();
    expect(screen.queryByRole("alert")).toBeNull();
    expect(worker.modes).not.toContain("tag_scene");
  });

  test("what cannot begin because Stash is away is begun by nobody but the user", async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    const worker = new Worker(scene([]));
    worker.stash.answers.tag_scene = () => {
      throw new Error("Failed to fetch");
    };
    worker.show();
    fireEvent.click(await screen.findByRole("button", { name: "Tag this scene" }));
    await act(async () => void (await vi.advanceTimersByTimeAsync(12_000)));
    expect(worker.modes.filter((mode) => mode === "tag_scene")).toHaveLength(1);
  });

  test("says why it failed and what helps", async () => {
    const worker = new Worker(scene([]));
    worker.stash.answers.tag_scene = () => ({ job_id: "j1" });
    worker.stash.answers.job = () =>
      job({ status: "failed", error: { message: "The drive is away", remedy: "connect it" } });
    worker.show();
    await userEvent.click(await screen.findByRole("button", { name: "Tag this scene" }));
    const alert = await screen.findByRole("alert");
    expect(alert).toHaveTextContent("The drive is away");
    expect(alert).toHaveTextContent("What helps: connect it");
    expect(screen.getByText("Failed: The drive is away")).toBeInTheDocument();
  });

  test("that cannot begin says why, and begins when tried again", async () => {
    const worker = new Worker(scene([]));
    worker.stash.answers.job = () => job();
    worker.stash.answers.tag_scene = () => {
      throw new Error("The disk is full");
    };
    worker.show();
    await userEvent.click(await screen.findByRole("button", { name: "Tag this scene" }));
    expect(await screen.findByText("The disk is full")).toBeInTheDocument();
    worker.stash.answers.tag_scene = () => ({ job_id: "j1" });
    await userEvent.click(screen.getByRole("button", { name: "Try again" }));
    expect(await screen.findByRole("progressbar")).toBeInTheDocument();
    expect(screen.queryByText("The disk is full")).toBeNull();
  });

  test("that is under way already is picked up", async () => {
    const found = job({ id: "j9", scene_ids: ["7", "8", "9"] });
    const worker = new Worker(scene([row("Beach")], { job: found }));
    worker.stash.answers.job = () => found;
    worker.show();
    expect(await screen.findByText("Looking at it (one of 3 scenes)")).toBeInTheDocument();
    expect(worker.modes).not.toContain("tag_scene");
    await waitFor(() =>
      expect(worker.stash.calls).toContainEqual({ mode: "job", args: { job_id: "j9" } }),
    );
  });

  test("of several scenes is not cancelled from the page of one without a question", async () => {
    const many = Array.from({ length: 100 }, (_, i) => String(i + 1));
    let found = job({ id: "j9", scene_ids: many });
    const worker = new Worker(scene([row("Beach")], { job: found }));
    worker.stash.answers.job = () => found;
    worker.stash.answers.cancel_job = () => ({ cancelled: true });
    worker.show();
    expect(
      await screen.findByText("Looking at it (one of 100 scenes or more)"),
    ).toBeInTheDocument();
    expect(screen.getByRole("button", { name: "Cancel them all" })).toBeInTheDocument();
    found = job({ id: "j9", scene_ids: ["7", "8", "9"] });
    const button = await screen.findByRole("button", { name: "Cancel all 3" });
    await userEvent.click(button);
    const title = "Cancel the tagging of 3 scenes?";
    const dialog = within(await screen.findByRole("dialog", { name: title }));
    await userEvent.click(dialog.getByRole("button", { name: "Go on" }));
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
    expect(button).toHaveFocus();
    expect(worker.modes).not.toContain("cancel_job");
    await userEvent.click(button);
    await userEvent.click(
      within(await screen.findByRole("dialog")).getByRole("button", { name: "Cancel all 3" }),
    );
    await waitFor(() =>
      expect(worker.stash.calls).toContainEqual({ mode: "cancel_job", args: { job_id: "j9" } }),
    );
  });

  test("that nobody knows any more is said to be so, and can begin again", async () => {
    const worker = new Worker(scene([]));
    worker.stash.answers.tag_scene = () => ({ job_id: "j1" });
    worker.stash.answers.job = () => {
      throw new Error("There is no job j1: list them with the mode 'jobs'");
    };
    worker.show();
    await userEvent.click(await screen.findByRole("button", { name: "Tag this scene" }));
    expect(await screen.findByRole("alert")).toHaveTextContent(
      "knows nothing of this job any more",
    );
    expect(screen.getByRole("button", { name: "Tag this scene" })).toBeEnabled();
  });

  test("is asked for less often while it waits, and not while nobody looks", async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    let now = job({ status: "queued", ahead: 3 });
    const worker = new Worker(scene([], { job: now }));
    worker.stash.answers.job = () => now;
    worker.show();
    await screen.findByText("Waiting: 3 jobs go before it");
    const polls = () => worker.modes.filter((mode) => mode === "job").length;
    const tick = async (ms: number) => {
      const before = polls();
      await act(async () => void (await vi.advanceTimersByTimeAsync(ms)));
      return polls() - before;
    };
    await tick(15_000);
    expect(await tick(30_000)).toBeLessThanOrEqual(7);
    const hidden = vi.spyOn(document, "hidden", "get").mockReturnValue(true);
    await tick(5_100);
    expect(await tick(60_000)).toBe(0);
    hidden.mockReturnValue(false);
    now = job({ lines: [{ level: "info", message: "Looking for objects" }] });
    await act(async () => void document.dispatchEvent(new Event("visibilitychange")));
    expect(await screen.findByText("Looking for objects")).toBeInTheDocument();
    expect(await tick(7_000)).toBeGreaterThanOrEqual(9);
  });

  test("goes on where the worker does not answer for a moment", async () => {
    const worker = new Worker(scene([], { job: job() }));
    worker.stash.answers.job = () => {
      throw new Error("The worker starts anew");
    };
    worker.show();
    expect(await screen.findByText(/asking again \(The worker starts anew\)/)).toBeInTheDocument();
    worker.stash.answers.job = () => job({ progress: 0.5 });
    expect(await screen.findByText("Looking at it")).toBeInTheDocument();
  });
});

const RAN: Shapes["RanRow"] = {
  detector: "clip",
  model: "clip-vit-b32@1",
  device: "cpu",
  precision: "fp32",
  frames: 81,
  seconds: 2.345,
};
const SKIPPED: Shapes["SkippedRow"] = {
  detector: "objects (yolox-s@1)",
  reason: "The files of yolox-s are not here",
  remedy: "run the task Download models",
};

describe("suggestions", () => {
  test("are grouped, with the most certain first and what is settled last", async () => {
    new Worker(
      scene([
        row("Old", { in_stash: "there", confidence: 0.99 }),
        row("Dog", { confidence: 0.6 }),
        row("Beach", { confidence: 0.9 }),
        row("Northlight", { kind: "studio" }),
        row("Ada", { kind: "performer", target_id: "12" }),
      ]),
    ).show();
    await found("Beach");
    expect(names()).toEqual(["Beach", "Dog", "Old", "Northlight", "Ada"]);
    expect(screen.getAllByRole("heading", { level: 4 }).map((each) => each.textContent)).toEqual([
      "Tags 3",
      "Studio 1",
      "People 1",
    ]);
    expect(screen.getByRole("link", { name: "Its page" })).toHaveAttribute(
      "href",
      "/performers/12",
    );
  });

  test("say how certain they are, which model said so, and where", async () => {
    new Worker(
      scene([
        row("Beach", {
          label: "scene/beach_day",
          evidence: [
            proof(8),
            proof(9),
            proof(12, { detector: "text", model: "pp-ocr@3", text: "SEA" }),
          ],
          ranges: [
            { start_s: 5, end_s: 20, score: 1 },
            { start_s: 60, end_s: 70, score: 1 },
          ],
        }),
      ]),
    ).show();
    const beach = within((await found("Beach")).closest("li") as HTMLElement);
    expect(beach.getByTitle("Confidence 87%")).toBeInTheDocument();
    expect(beach.getByText("scene/beach_day")).toBeInTheDocument();
    expect(beach.getByText(/2 ranges, 0:25 in all/)).toBeInTheDocument();
    expect(beach.getByTitle("clip-vit-b32@1")).toHaveTextContent(
      "CLIP ViT-B/32 saw it in 2 frames.",
    );
    expect(beach.getByTitle("pp-ocr@3")).toHaveTextContent("PP-OCR read “SEA” in 1 frame.");
    expect(beach.getByText("Beach: 2 ranges, 0:05 to 0:20, 1:00 to 1:10")).toBeInTheDocument();
  });

  test("a click on a frame plays from there", async () => {
    const worker = new Worker(scene([row("Beach", { evidence: [proof(8.5)] })]));
    worker.show();
    await userEvent.click(await screen.findByRole("button", { name: "Play from 0:08" }));
    expect(worker.played).toEqual([8.5]);
  });

  test("what the scene has already is told from what we wrote", async () => {
    new Worker(
      scene([
        row("Theirs", { in_stash: "there" }),
        row("Ours", { in_stash: "ours", decision: "APPLY" }),
      ]),
    ).show();
    expect(await screen.findByText("On the scene already, not by Stash Sense")).toBeInTheDocument();
    expect(screen.getByText("On the scene, written by Stash Sense")).toBeInTheDocument();
    expect(screen.queryByRole("button", { name: /^Accept/ })).toBeNull();
    expect(screen.queryByRole("button", { name: "Refuse Theirs" })).toBeNull();
    expect(screen.getByRole("button", { name: "Refuse Ours" })).toBeInTheDocument();
  });

  test("names from files and models are text, never markup", async () => {
    const { container } = new Worker(
      scene(
        [
          row(HOSTILE, {
            label: `label ${HOSTILE}`,
            evidence: [proof(8, { detector: "text", model: HOSTILE, text: HOSTILE })],
          }),
        ],
        {
          texts: [{ text: HOSTILE, start_s: 1, end_s: 2, score: 1 }],
          skipped: [{ detector: HOSTILE, reason: HOSTILE, remedy: HOSTILE }],
        },
      ),
    ).show();
    expect((await screen.findAllByText(HOSTILE)).length).toBeGreaterThan(1);
    expect(container.querySelector("img[src=x]")).toBeNull();
    expect(container.innerHTML).not.toContain("<img src=x");
  });

  test("what looked, what did not and why, and what was read is told", async () => {
    const worker = new Worker(
      scene([], {
        ran: [RAN, { ...RAN, detector: "picture", model: "picture@1", seconds: 0 }],
        skipped: [SKIPPED],
        texts: [{ text: "NORTHLIGHT", start_s: 65, end_s: 70, score: 1 }],
      }),
    );
    worker.show();
    await userEvent.click(await screen.findByText("What was looked at"));
    expect(
      screen.getByRole("row", { name: "Scenes, by words CLIP ViT-B/32 81 2.3 s" }),
    ).toBeTruthy();
    expect(screen.getByRole("row", { name: /known before$/ })).toBeInTheDocument();
    expect(screen.getByText(/The files of yolox-s are not here/)).toHaveTextContent(
      "Objects (YOLOX-S): The files of yolox-s are not here What helps: run the task Download models",
    );
    await userEvent.click(screen.getByRole("button", { name: "Play from 1:05" }));
    expect(worker.played).toEqual([65]);
  });

  test("those beyond one reply are counted, with the way to them", async () => {
    new Worker(scene([row("Beach")], { more: 30 })).show();
    expect(await screen.findByText(/30 more suggestions of this scene/)).toBeInTheDocument();
    expect(screen.getByRole("link", { name: "Review" })).toHaveAttribute(
      "href",
      "/plugins/stash-sense",
    );
  });

  test("the ranges of several are drawn over the scene", async () => {
    const { container } = new Worker(scene([row("Beach"), row("Dog")])).show();
    expect((await screen.findByText("Over the scene")).textContent).toBe("Over the scene 2 ranges");
    expect(container.querySelectorAll(".sense-lane")).toHaveLength(2);
  });
});

describe("saying something", () => {
  test("an accepted one is on the scene, and the next has the focus", async () => {
    const worker = new Worker(scene([row("Beach"), row("Dog", { confidence: 0.5 })]));
    worker.show();
    fireEvent.click(await screen.findByRole("button", { name: "Accept Beach" }));
    expect(screen.getByText("Being written")).toBeInTheDocument();
    expect(await screen.findByText("Accepted, and on the scene")).toBeInTheDocument();
    expect(screen.getByText("Accepted Beach")).toBeInTheDocument();
    expect(head("Dog")).toHaveFocus();
    await waitFor(() => expect(worker.modes).toEqual(["scene", "accept", "scene"]));
  });

  test("refused ones are folded away, with a way back", async () => {
    const worker = new Worker(
      scene([row("Beach"), row("Dog", { said: "refused", decision: "HIDE" })]),
    );
    worker.show();
    await userEvent.click(await screen.findByRole("button", { name: "Refuse Beach" }));
    expect(await screen.findByText("Refused (2)")).toBeInTheDocument();
    expect(screen.queryByRole("region", { name: "Tags" })).toBeNull();
    const fold = screen.getByText("Refused (2)").closest("details") as HTMLDetailsElement;
    fold.open = true;
    fireEvent(fold, new Event("toggle"));
    await userEvent.click(await screen.findByRole("button", { name: "Undo refused Dog" }));
    expect(await within(tags()).findByText("Dog")).toBeInTheDocument();
    expect(await screen.findByText("Refused (1)")).toBeInTheDocument();
    const said = worker.stash.calls.filter(({ mode }) => mode === "unsay");
    expect(said).toMatchObject([
      { args: { items: [{ scene_id: "7", kind: "tag", name: "Dog", said: "refused" }] } },
    ]);
  });

  test("the last is undone", async () => {
    const worker = new Worker(scene([row("Beach")]));
    worker.show();
    await userEvent.click(await screen.findByRole("button", { name: "Accept Beach" }));
    await userEvent.click(await screen.findByRole("button", { name: "Undo" }));
    expect(await screen.findByRole("button", { name: "Accept Beach" })).toBeInTheDocument();
    expect(await screen.findByText("Undone: Beach")).toBeInTheDocument();
    await waitFor(() =>
      expect(worker.modes).toEqual(["scene", "accept", "scene", "unsay", "scene"]),
    );
    expect(screen.queryByRole("button", { name: "Undo" })).toBeNull();
  });

  test("of what replaced a word before, that alone is undone, also where a reply is lost", async () => {
    const worker = new Worker(scene([row("Beach", { said: "refused" }), row("Sea")]));
    worker.show();
    const fold = (await screen.findByText("Refused (1)")).closest("details") as HTMLDetailsElement;
    fold.open = true;
    fireEvent(fold, new Event("toggle"));
    await userEvent.click(await screen.findByRole("button", { name: "Accept Beach" }));
    await screen.findByText("Accepted Beach");
    const replies = [
      () => {
        worker.told = scene([row("Beach", { said: "refused" }), row("Sea")]);
        throw new Error("Failed to fetch");
      },
      () => {
        const failure = { scene_id: "7", kind: "tag", name: "Beach", target_id: "", remedy: "" };
        const failures = [{ ...failure, message: "it is not accepted" }];
        const none = { unsaid: 0, taken_back: 0, written: 0, markers: 0, left: [] };
        return { ...VERDICT, ...none, failed: 1, failures };
      },
    ];
    worker.stash.answers.unsay = () => {
      const reply = replies.shift();
      if (reply === undefined) throw new Error("asked too often");
      return reply();
    };
    await userEvent.click(await screen.findByRole("button", { name: "Undo" }));
    await screen.findByText(/^Beach stays as it was: Failed to fetch/);
    await userEvent.click(await screen.findByRole("button", { name: "Undo" }));
    await screen.findByText(/^Beach stays as it was: it is not accepted/);
    const asked = worker.stash.calls.filter(({ mode }) => mode === "unsay");
    const item = { scene_id: "7", kind: "tag", name: "Beach", said: "accepted" };
    expect(asked.map(({ args }) => args.items)).toEqual([[item], [item]]);
    expect(screen.queryByRole("button", { name: "Undo" })).toBeNull();
  });

  test("a write that fails goes back and says why", async () => {
    const worker = new Worker(scene([row("Beach"), row("Dog", { confidence: 0.5 })]));
    worker.fails = [
      {
        scene_id: "7",
        kind: "tag",
        name: "Beach",
        target_id: "",
        message: "Stash refused the tag",
        remedy: "see Stash's log",
      },
    ];
    worker.show();
    await userEvent.click(await screen.findByRole("button", { name: "Accept Beach" }));
    const note = await screen.findByText("Stash refused the tag: see Stash's log");
    expect(note).toHaveClass("text-danger");
    expect(screen.getByRole("button", { name: "Accept Beach" })).toBeInTheDocument();
    expect(screen.getByText(/^Beach stays as it was: Stash refused the tag/)).toBeInTheDocument();
    // There is nothing to undo of what was not done.
    expect(screen.queryByRole("button", { name: "Undo" })).toBeNull();
  });

  test("undo of what fails meanwhile says that it failed, and leaves nothing to undo", async () => {
    const worker = new Worker(scene([row("Beach"), row("Sea")]));
    worker.stash.answers.accept = () => {
      throw new Error("Stash is locked");
    };
    worker.stash.answers.unsay = () => {
      throw new Error("Nothing was said of it");
    };
    worker.show();
    fireEvent.click(await screen.findByRole("button", { name: "Accept Beach" }));
    fireEvent.keyDown(head("Beach"), { key: "u" });
    expect(await screen.findByText("Stash is locked")).toBeInTheDocument();
    await waitFor(() => expect(worker.modes).toEqual(["scene", "accept", "scene"]));
    expect(screen.getByText("Beach stays as it was: Stash is locked")).toBeInTheDocument();
    expect(await screen.findByRole("button", { name: "Accept Beach" })).toBeEnabled();
    expect(screen.queryByRole("button", { name: "Undo" })).toBeNull();
  });

  test("a call that fails leaves all as it was, and says why", async () => {
    const worker = new Worker(scene([row("Beach")]));
    worker.stash.answers.refuse = () => {
      throw new Error("Stash is away");
    };
    worker.show();
    await userEvent.click(await screen.findByRole("button", { name: "Refuse Beach" }));
    expect(await screen.findByText("Stash is away")).toBeInTheDocument();
    expect(within(tags()).getByText("Beach")).toBeInTheDocument();
  });

  test("what a refusal leaves on the scene is said", async () => {
    const worker = new Worker(scene([row("Beach", { in_stash: "ours" })]));
    worker.stash.answers.refuse = () => {
      const left = [
        {
          scene_id: "7",
          kind: "tag",
          name: "Beach",
          target_id: "",
          message: "The user changed it since",
          remedy: "take it away by hand",
        },
      ];
      worker.told = scene([row("Beach", { said: "refused", in_stash: "there" })]);
      return { ...VERDICT, refused: 1, taken_back: 0, markers: 0, not_ours: 1, left };
    };
    worker.show();
    await userEvent.click(await screen.findByRole("button", { name: "Refuse Beach" }));
    const fold = (await screen.findByText("Refused (1)")).closest("details") as HTMLDetailsElement;
    fold.open = true;
    fireEvent(fold, new Event("toggle"));
    expect(
      await screen.findByText("The user changed it since: take it away by hand"),
    ).not.toHaveClass("text-danger");
  });
});

describe("a list that changes under the user", () => {
  test("a word that is on its way when a job ends is shown as it came out, and is undone", async () => {
    const worker = new Worker(scene([row("Beach"), row("Dog")], { job: job() }));
    let status: "running" | "done" = "running";
    worker.stash.answers.job = () => job({ status });
    const arrives = worker.stash.holds("refuse");
    worker.show();
    (await found("Beach")).focus();
    await userEvent.keyboard("r");
    expect(head("Dog")).toHaveFocus();
    worker.told = { ...worker.told, looked_at_s: 1_700_000_999, job: null };
    status = "done";
    expect(await screen.findByText("Tagged")).toBeInTheDocument();
    await waitFor(() => expect(worker.modes.filter((mode) => mode === "scene")).toHaveLength(2));
    expect(names()).toEqual(["Dog"]);
    arrives();
    expect(await screen.findByText("Refused Beach")).toBeInTheDocument();
    await waitFor(() => expect(worker.modes.filter((mode) => mode === "scene")).toHaveLength(3));
    expect(names()).toEqual(["Dog"]);
    expect(screen.getByText("Refused (1)")).toBeInTheDocument();
    expect(head("Dog")).toHaveFocus();
    await userEvent.keyboard("u");
    expect(await screen.findByText("Undone: Beach")).toBeInTheDocument();
  });

  test("what is looked at anew is in order anew, and keeps what can be undone", async () => {
    const worker = new Worker(
      scene([row("Beach", { confidence: 0.9 }), row("Dog", { confidence: 0.5 })], { job: job() }),
    );
    let status: "running" | "done" = "running";
    worker.stash.answers.job = () => job({ status });
    worker.show();
    (await found("Beach")).focus();
    await userEvent.keyboard("a");
    expect(await screen.findByText("Accepted Beach")).toBeInTheDocument();
    expect(head("Dog")).toHaveFocus();
    worker.told = scene([row("Beach", { said: "accepted", in_stash: "ours" }), row("Cat")], {
      looked_at_s: 1_700_000_999,
    });
    status = "done";
    await waitFor(() => expect(names()).toEqual(["Cat", "Beach"]));
    // What had the focus is there no more.
    expect(head("Cat")).toHaveFocus();
    await userEvent.keyboard("u");
    expect(await screen.findByText("Undone: Beach")).toBeInTheDocument();
  });

  test("after the last is refused the keys go on", async () => {
    const worker = new Worker(scene([row("Beach")]));
    worker.show();
    (await found("Beach")).focus();
    await userEvent.keyboard("r");
    expect(await screen.findByText("Refused Beach")).toBeInTheDocument();
    expect(screen.getByText("Refused (1)")).toHaveFocus();
    await userEvent.keyboard("u");
    expect(await screen.findByText("Undone: Beach")).toBeInTheDocument();
    expect(head("Beach")).toHaveFocus();
    expect(worker.modes).toContain("unsay");
  });

  test("where a refusal of the last fails, its row has the focus again", async () => {
    const worker = new Worker(scene([row("Beach")]));
    worker.stash.answers.refuse = () => {
      throw new Error("Stash is away");
    };
    worker.show();
    (await found("Beach")).focus();
    fireEvent.keyDown(head("Beach"), { key: "r" });
    expect(screen.getByText("Refused (1)")).toHaveFocus();
    expect(await screen.findByText("Stash is away")).toBeInTheDocument();
    expect(head("Beach")).toHaveFocus();
  });

  test("the undo of a refusal says nothing of what the scene has that is not so", async () => {
    const worker = new Worker(scene([row("Beach", { in_stash: "ours" }), row("Dog")]));
    worker.show();
    (await found("Beach")).focus();
    await userEvent.keyboard("r");
    expect(await screen.findByText("Refused Beach")).toBeInTheDocument();
    const arrives = worker.stash.holds("scene");
    worker.stash.answers.unsay = () => ({
      ...VERDICT,
      unsaid: 1,
      taken_back: 0,
      written: 1,
      markers: 0,
      left: [],
    });
    await userEvent.keyboard("u");
    expect(await screen.findByText("Undone: Beach")).toBeInTheDocument();
    expect(screen.getByText("On the scene, written by Stash Sense")).toBeInTheDocument();
    expect(screen.queryByRole("button", { name: "Accept Beach" })).toBeNull();
    arrives();
  });

  test("what was accepted and is not known to be on the scene is not said to be there", async () => {
    new Worker(scene([row("Beach", { said: "accepted", in_stash: null })])).show();
    expect(await screen.findByText("Accepted")).toBeInTheDocument();
  });
});

describe("several of which some fail", () => {
  const failure = (name: string, message: string, remedy = "") => ({
    scene_id: "7",
    kind: "tag" as const,
    name,
    target_id: "",
    message,
    remedy,
  });

  test("each stays for its own reason, and what is not said any more is not undone again", async () => {
    const rows = ["Beach", "Dog", "Cat"].map((name) => row(name));
    const worker = new Worker(scene(rows));
    worker.show();
    await userEvent.click(await screen.findByRole("button", { name: /^Accept all above/ }));
    expect(await screen.findByText("Accepted 3 suggestions")).toBeInTheDocument();
    const failures = [
      failure("Beach", "it is not accepted"),
      failure("Dog", "Stash is locked", "try again"),
    ];
    worker.stash.answers.unsay = () => {
      const counts = { unsaid: 1, taken_back: 1, written: 0, markers: 0, left: [] };
      return { ...VERDICT, ...counts, failed: 2, failures };
    };
    await userEvent.keyboard("u");
    expect(
      await screen.findByText(
        "Undone: Cat. Beach stays as it was: it is not accepted. Dog stays as it was: Stash is locked (try again)",
      ),
    ).toBeInTheDocument();
    await userEvent.keyboard("u");
    await waitFor(() => expect(worker.modes.filter((mode) => mode === "unsay")).toHaveLength(2));
    const [, again] = worker.stash.calls.filter(({ mode }) => mode === "unsay");
    expect(again?.args.items).toMatchObject([{ name: "Dog" }]);
  });
});

describe("accept all above", () => {
  test("by key leaves the keys to the list, and u undoes all of it", async () => {
    const worker = new Worker(scene([row("Beach"), row("Dog"), row("Cat", { confidence: 0.1 })]));
    worker.show();
    const button = await screen.findByRole("button", { name: "Accept all above 80% (2)" });
    button.focus();
    await userEvent.keyboard("{Enter}");
    expect(await screen.findByText("Accepted 2 suggestions")).toBeInTheDocument();
    expect(head("Beach")).toHaveFocus();
    await userEvent.keyboard("u");
    expect(await screen.findByText("Undone: 2 suggestions")).toBeInTheDocument();
    expect(worker.modes.filter((mode) => mode === "unsay")).toHaveLength(1);
  });

  const rows = () => [
    row("Beach", { confidence: 0.9 }),
    row("Dog", { confidence: 0.795, called: "Hound" }),
    row("Cat", { confidence: 0.4 }),
    row("Old", { in_stash: "there", confidence: 0.99 }),
    row("No", { said: "refused", confidence: 0.99 }),
  ];

  test("shows which those are before, and accepts just those", async () => {
    const worker = new Worker(scene(rows()));
    worker.show();
    const button = await screen.findByRole("button", { name: "Accept all above 80% (2)" });
    expect(screen.getByText("Beach, Hound")).toBeInTheDocument();
    await userEvent.click(button);
    expect(await screen.findByText("Accepted 2 suggestions")).toBeInTheDocument();
    const asked = worker.stash.calls.find(({ mode }) => mode === "accept")?.args.items;
    expect((asked as { name: string }[]).map(({ name }) => name)).toEqual(["Beach", "Dog"]);
    await userEvent.click(screen.getByRole("button", { name: "Undo" }));
    expect(await screen.findByText("Undone: 2 suggestions")).toBeInTheDocument();
    expect(screen.getByRole("button", { name: "Accept all above 80% (2)" })).toBeEnabled();
  });

  test("what is shown, counted and accepted is the same, at each end", async () => {
    const worker = new Worker(
      scene([
        row("Half", { confidence: 0.285 }),
        row("Less", { confidence: 0.2849 }),
        row("Nearly", { confidence: 0.9999 }),
      ]),
    );
    worker.show();
    const slider = await screen.findByRole("slider", { name: "Least confidence to accept" });
    expect(screen.getByTitle("Confidence 99%")).toBeInTheDocument();
    fireEvent.change(slider, { target: { value: "100" } });
    expect(screen.getByRole("button", { name: "Accept all above 100% (0)" })).toBeDisabled();
    expect(screen.getByTitle("Confidence 29%")).toBeInTheDocument();
    expect(screen.getByTitle("Confidence 28%")).toBeInTheDocument();
    fireEvent.change(slider, { target: { value: "29" } });
    await userEvent.click(screen.getByRole("button", { name: "Accept all above 29% (2)" }));
    expect(await screen.findByText("Accepted 2 suggestions")).toBeInTheDocument();
    const asked = worker.stash.calls.find(({ mode }) => mode === "accept")?.args.items;
    expect((asked as { name: string }[]).map(({ name }) => name)).toEqual(["Nearly", "Half"]);
  });

  test("follows its slider", async () => {
    new Worker(scene(rows())).show();
    const slider = await screen.findByRole("slider", { name: "Least confidence to accept" });
    fireEvent.change(slider, { target: { value: "40" } });
    expect(screen.getByRole("button", { name: "Accept all above 40% (3)" })).toBeEnabled();
    fireEvent.change(slider, { target: { value: "95" } });
    expect(screen.getByRole("button", { name: "Accept all above 95% (0)" })).toBeDisabled();
    expect(screen.getByText("None of 3 suggestions is so certain")).toBeInTheDocument();
  });
});

describe("markers", () => {
  // A space between inline words is no part of a name in jsdom.
  const OF_BEACH = /^Markers of ?Beach/;
  const RANGES = [
    { start_s: 5, end_s: 20, score: 0.9 },
    { start_s: 60, end_s: 70, score: 0.8 },
  ];
  const withMarkers = (tag: Partial<Row> = {}, markers: Partial<Row> = {}) => [
    row("Beach", { evidence: [proof(8), proof(9, { score: 0.95 })], ranges: RANGES, ...tag }),
    row("Dog", { confidence: 0.5 }),
    row("Beach", { kind: "marker", evidence: [], ranges: RANGES, ...markers }),
  ];
  const markers = () => screen.getByRole("region", { name: "Markers" });
  const said = (worker: Worker, mode: string) =>
    worker.stash.calls
      .filter((call) => call.mode === mode)
      .map(({ args }) =>
        (args.items as Shapes["Named"][]).map(({ kind, name }) => `${kind} ${name}`),
      );
  const openRefused = async () => {
    const fold = (await screen.findByText(/^Refused \(/)).closest("details") as HTMLDetailsElement;
    fold.open = true;
    fireEvent(fold, new Event("toggle"));
  };

  test("stand below the others, folded, and wait for no word of their own", async () => {
    const worker = new Worker(scene(withMarkers()));
    worker.show();
    const markersHead = await screen.findByRole("button", { name: OF_BEACH });
    expect(screen.getAllByRole("heading", { level: 4 }).map((each) => each.textContent)).toEqual([
      "Tags 2",
      "Markers 1",
    ]);
    expect(markersHead).toHaveTextContent("Beach2 markers");
    expect(markersHead).toHaveAttribute("aria-expanded", "false");
    expect(within(markers()).getByTitle("Confidence 87%")).toBeInTheDocument();
    expect(screen.getByRole("button", { name: "Accept all above 80% (1)" })).toBeEnabled();
    // The drawing over the scene shows each range once.
    expect(document.querySelectorAll(".sense-lane")).toHaveLength(2);
    head("Dog").focus();
    await userEvent.keyboard("j");
    expect(markersHead).toHaveFocus();
    await userEvent.keyboard("ka");
    expect(await screen.findByText("Accepted Dog")).toBeInTheDocument();
    expect(head("Dog")).toHaveFocus();
  });

  test("unfolded show one frame for each, and their ranges", async () => {
    const worker = new Worker(scene(withMarkers()));
    worker.show();
    await userEvent.click(await screen.findByRole("button", { name: OF_BEACH }));
    const within_ = within(markers());
    expect(within_.getAllByRole("button", { name: /^Play/ }).map((each) => each.ariaLabel)).toEqual(
      [
        // Where it was seen best, and the middle of one in which no frame is kept.
        "Play from 0:09",
        "Play from 1:05",
        "Play 0:05 to 0:20",
        "Play 1:00 to 1:10",
      ],
    );
    // Of the middle of a marker nobody said how certain it is.
    expect(
      within_.getAllByRole("button", { name: /^Play from/ }).map(({ title }) => title),
    ).toEqual(["Play from 0:09 (95%)", "Play from 1:05"]);
    expect(within_.getByText("2 markers, 0:25 in all.")).toBeInTheDocument();
    await userEvent.click(within_.getByRole("button", { name: "Play from 1:05" }));
    expect(worker.played).toEqual([65]);
  });

  test.each<[string, Partial<Row>, Partial<Row>, boolean]>([
    ["Come with the tag when it is accepted", {}, {}, true],
    ["Not on the scene", {}, {}, false],
    ["Not on the scene", { in_stash: "there" }, {}, true],
    ["On the scene, written by Stash Sense", { in_stash: "ours" }, { in_stash: "ours" }, true],
    ["On the scene already, not by Stash Sense", {}, { in_stash: "there" }, false],
  ])(
    "%s: with a tag %o, markers %o, written by themselves: %s",
    async (words, tag, its, writes) => {
      const worker = new Worker(scene(withMarkers(tag, its)));
      worker.stash.settings = { markers: writes };
      worker.show();
      await screen.findByRole("button", { name: OF_BEACH });
      expect(await within(markers()).findByText(words)).toBeInTheDocument();
    },
  );

  test("are accepted with the tag that waits, and undone with it", async () => {
    const worker = new Worker(scene(withMarkers()));
    worker.show();
    await userEvent.click(
      await screen.findByRole("button", { name: "Accept markers of Beach, and the tag" }),
    );
    expect(await screen.findByText("Accepted Beach and its markers")).toBeInTheDocument();
    expect(screen.getAllByText("Accepted, and on the scene")).toHaveLength(2);
    expect(screen.getByRole("button", { name: OF_BEACH })).toHaveFocus();
    expect(said(worker, "accept")).toEqual([["tag Beach", "marker Beach"]]);
    await userEvent.click(screen.getByRole("button", { name: "Undo" }));
    expect(await screen.findByText("Undone: Beach and its markers")).toBeInTheDocument();
    expect(said(worker, "unsay")).toEqual([["tag Beach", "marker Beach"]]);
    expect(screen.getByRole("button", { name: "Accept Beach" })).toBeEnabled();
  });

  test("of a tag on the scene are accepted alone, and those that fail say why", async () => {
    const worker = new Worker(scene(withMarkers({ in_stash: "ours" })));
    worker.fails = [
      {
        scene_id: "7",
        kind: "marker",
        name: "Beach",
        target_id: "",
        message: "its tag is not on the scene",
        remedy: "accept the tag: its markers come with it",
      },
    ];
    worker.show();
    await userEvent.click(await screen.findByRole("button", { name: "Accept markers of Beach" }));
    expect(
      await screen.findByText(/^Markers of Beach stay as they were: its tag is not/),
    ).toBeInTheDocument();
    expect(said(worker, "accept")).toEqual([["marker Beach"]]);
    const note = within(markers()).getByText(/^its tag is not on the scene: accept the tag/);
    expect(note).toHaveClass("text-danger");
  });

  test("are refused while their tag stays, and come back when that is undone", async () => {
    const worker = new Worker(scene(withMarkers({ in_stash: "ours" }, { in_stash: "ours" })));
    worker.show();
    await userEvent.click(await screen.findByRole("button", { name: "Refuse markers of Beach" }));
    expect(await screen.findByText("Refused markers of Beach")).toBeInTheDocument();
    expect(screen.queryByRole("region", { name: "Markers" })).toBeNull();
    expect(within(tags()).getByText("On the scene, written by Stash Sense")).toBeInTheDocument();
    await openRefused();
    expect(
      screen.getByText("Refused: no markers of it will be set in this scene"),
    ).toBeInTheDocument();
    await userEvent.click(screen.getByRole("button", { name: "Undo refused markers of Beach" }));
    expect(await screen.findByRole("button", { name: OF_BEACH })).toBeInTheDocument();
    expect(await screen.findByText("Undone: markers of Beach")).toBeInTheDocument();
    expect(said(worker, "unsay")).toEqual([["marker Beach"]]);
  });

  test("leave with a tag that is refused, and keep the focus when their tag is made", async () => {
    const worker = new Worker(scene(withMarkers()));
    worker.show();
    (await screen.findByRole("button", { name: OF_BEACH })).focus();
    const accept = worker.stash.answers.accept;
    worker.stash.answers.accept = (asked) => {
      const told = accept?.(asked);
      const suggestions = worker.told.suggestions.map((each) => ({ ...each, target_id: "31" }));
      worker.told = scene(suggestions.filter(({ name }) => name === "Beach"));
      return told as NonNullable<typeof told>;
    };
    await userEvent.keyboard("{Enter}a");
    await waitFor(() => expect(names()).toEqual(["Beach", "Beach"]));
    expect(screen.getByRole("button", { name: OF_BEACH })).toHaveFocus();
    expect(screen.getByRole("button", { name: OF_BEACH })).toHaveAttribute("aria-expanded", "true");
    fireEvent.click(screen.getByRole("button", { name: "Undo accepted Beach" }));
    fireEvent.click(await screen.findByRole("button", { name: "Refuse Beach" }));
    await waitFor(() => expect(names()).toEqual([]));
  });
});

describe("the keyboard", () => {
  const four = () =>
    scene([
      row("Beach", { confidence: 0.9 }),
      row("Dog", { confidence: 0.8 }),
      row("Cat", { confidence: 0.7 }),
      row("Sea", { confidence: 0.6 }),
    ]);

  test("walks, accepts, refuses and undoes, and Stash's own keys never hear of it", async () => {
    const heard: string[] = [];
    const listen = (event: KeyboardEvent) => void heard.push(event.key);
    document.addEventListener("keydown", listen);
    document.addEventListener("keypress", listen);
    const worker = new Worker(four());
    worker.show();
    await found("Beach");
    const user = userEvent.setup();
    head("Beach").focus();
    await user.keyboard("j");
    expect(head("Dog")).toHaveFocus();
    await user.keyboard("{ArrowDown}k");
    expect(head("Dog")).toHaveFocus();
    await user.keyboard("a");
    expect(head("Cat")).toHaveFocus();
    await user.keyboard("r");
    expect(head("Sea")).toHaveFocus();
    expect(await screen.findByText("Refused Cat")).toBeInTheDocument();
    await user.keyboard("u");
    expect(await screen.findByText("Undone: Cat")).toBeInTheDocument();
    expect(head("Cat")).toHaveFocus();
    await user.keyboard("u");
    expect(await screen.findByText("Undone: Dog")).toBeInTheDocument();
    await user.keyboard("u");
    expect(await screen.findByText("Nothing to undo")).toBeInTheDocument();
    await user.keyboard("{End}");
    expect(head("Sea")).toHaveFocus();
    await user.keyboard("{Home}{ArrowUp}");
    expect(head("Beach")).toHaveFocus();
    expect(heard).toEqual([]);
    await user.keyboard("x");
    expect(heard).toContain("x");
    document.removeEventListener("keydown", listen);
    document.removeEventListener("keypress", listen);
    expect(worker.modes.filter((mode) => mode !== "scene")).toEqual([
      "accept",
      "refuse",
      "unsay",
      "unsay",
    ]);
  });

  test("keys are the same with Caps Lock, and Stash counts no o", async () => {
    const heard: string[] = [];
    const listen = (event: KeyboardEvent) => void heard.push(event.key);
    document.addEventListener("keydown", listen);
    const worker = new Worker(four());
    worker.show();
    await found("Beach");
    head("Beach").focus();
    for (const key of ["J", "A", "o", "K"]) {
      fireEvent.keyDown(document.activeElement as Element, { key });
    }
    document.removeEventListener("keydown", listen);
    expect(heard).toEqual([]);
    expect(await screen.findByText("Accepted Dog")).toBeInTheDocument();
    expect(worker.modes).toContain("accept");
  });

  test("the tab key stops at one suggestion alone", async () => {
    new Worker(four()).show();
    await found("Beach");
    const stops = () =>
      [...document.querySelectorAll<HTMLElement>("[data-sense-row]")].filter(
        (each) => each.tabIndex === 0,
      );
    expect(stops()).toEqual([head("Beach")]);
    head("Cat").focus();
    expect(stops()).toEqual([head("Cat")]);
    expect(screen.getByRole("button", { name: "Accept Cat" })).toHaveAttribute("tabindex", "0");
    expect(screen.getByRole("button", { name: "Accept Beach" })).toHaveAttribute("tabindex", "-1");
  });

  test("keys with a modifier and keys in the slider are not ours", async () => {
    const worker = new Worker(four());
    worker.show();
    await found("Beach");
    const user = userEvent.setup();
    head("Beach").focus();
    await user.keyboard("{Control>}a{/Control}");
    screen.getByRole("slider").focus();
    await user.keyboard("a");
    expect(worker.modes).toEqual(["scene"]);
  });

  test("left and right lead through buttons, frames and ranges of a row, and stay in it", async () => {
    const heard: string[] = [];
    const listen = (event: KeyboardEvent) => void heard.push(event.key);
    document.addEventListener("keydown", listen);
    const beach = row("Beach", {
      evidence: [proof(8), proof(12)],
      ranges: [
        { start_s: 5, end_s: 20, score: 1 },
        { start_s: 60, end_s: 70, score: 1 },
      ],
    });
    const worker = new Worker(scene([beach, row("Dog", { confidence: 0.5 })]));
    worker.show();
    await found("Beach");
    const user = userEvent.setup();
    head("Beach").focus();
    await user.keyboard("{ArrowLeft}");
    expect(head("Beach")).toHaveFocus();
    const passed: string[] = [];
    for (let i = 0; i < 7; i++) {
      await user.keyboard("{ArrowRight}");
      passed.push(document.activeElement?.getAttribute("aria-label") ?? "");
    }
    expect(passed).toEqual([
      "Accept Beach",
      "Refuse Beach",
      "Play from 0:08",
      "Play from 0:12",
      "Play 0:05 to 0:20",
      "Play 1:00 to 1:10",
      "Play 1:00 to 1:10",
    ]);
    await user.keyboard("{Enter}{ArrowLeft}{ArrowLeft}{Enter}");
    expect(worker.played).toEqual([60, 12]);
    await user.keyboard("j");
    expect(head("Dog")).toHaveFocus();
    expect(heard).not.toContain("ArrowRight");
    document.removeEventListener("keydown", listen);
  });

  test("the tab key stops once at the frames and once at the ranges", async () => {
    const beach = row("Beach", {
      evidence: [proof(8), proof(12)],
      ranges: [
        { start_s: 5, end_s: 20, score: 1 },
        { start_s: 60, end_s: 70, score: 1 },
      ],
    });
    new Worker(scene([beach, row("Dog", { confidence: 0.5 })])).show();
    await found("Beach");
    const item = head("Beach").closest("li") as HTMLElement;
    head("Beach").focus();
    const stops: (string | null)[] = [];
    for (;;) {
      await userEvent.tab();
      if (!item.contains(document.activeElement)) break;
      stops.push(document.activeElement?.getAttribute("aria-label") ?? null);
    }
    expect(stops).toEqual(["Accept Beach", "Refuse Beach", "Play from 0:08", "Play 0:05 to 0:20"]);
  });

  test("the ranges over the scene are reached by keys too", async () => {
    const worker = new Worker(
      scene([
        row("Beach", {
          ranges: [
            { start_s: 5, end_s: 20, score: 1 },
            { start_s: 60, end_s: 70, score: 1 },
          ],
        }),
        row("Dog"),
      ]),
    );
    worker.show();
    const fold = (await screen.findByText("Over the scene")).closest("details") as HTMLElement;
    fold.setAttribute("open", "");
    within(fold).getAllByRole("button", { name: "Play 0:05 to 0:20" })[0]?.focus();
    await userEvent.keyboard("{ArrowRight}{Enter}");
    expect(worker.played).toEqual([60]);
  });

  test("enter folds the frames of one and shows them again", async () => {
    new Worker(scene([row("Beach")])).show();
    await found("Beach");
    const user = userEvent.setup();
    head("Beach").focus();
    await user.keyboard("{Enter}");
    expect(head("Beach")).toHaveAttribute("aria-expanded", "false");
    expect(screen.queryByRole("button", { name: "Play from 0:08" })).toBeNull();
    await user.keyboard("{Enter}");
    expect(screen.getByRole("button", { name: "Play from 0:08" })).toBeInTheDocument();
  });
});
