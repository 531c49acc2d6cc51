import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import React from "react";
import { afterEach, describe, expect, test, vi } from "vitest";
import { Confidence } from "../src/parts/Confidence";
import { dataAddress, forgetPictures, sheetAddress } from "../src/parts/pictures";
import { Strip } from "../src/parts/Strip";
import { Timeline } from "../src/parts/Timeline";
import { clock, inPercent, leastShare, many, percent } from "../src/parts/words";
import type { Shapes } from "../src/stash/calls";
import { pluginId, stash as stashApi } from "../src/stash/plugin_api";
import { FakeStash, show } from "./fake_stash";
import { proof } from "./scene_rows";

const seek = () => undefined;
const PIXEL = "data:image/png;base64,iVBORw0KGgo=";
const TILE = {
  path: "/scene/abc_sprite.jpg",
  x: 160,
  y: 90,
  width: 160,
  height: 90,
  sheet_width: 1440,
  sheet_height: 810,
};

afterEach(() => forgetPictures("7"));

test("figures are written as people read them", () => {
  expect([clock(0), clock(65.9), clock(3729), clock(Number.NaN)]).toEqual([
    "0:00",
    "1:05",
    "1:02:09",
    "0:00",
  ]);
  expect([percent(0.874), percent(0.999), percent(1), percent(2), percent(-1)]).toEqual([
    "87%",
    "99%",
    "100%",
    "100%",
    "0%",
  ]);
  expect([many(1, "range"), many(3, "range"), many(1200, "person", "people")]).toEqual([
    "1 range",
    "3 ranges",
    "1,200 people",
  ]);
});

test("what is asked for above a percentage is what is shown as so much or more", () => {
  const fourDigits = (share: number) => Math.round(share * 10_000) / 10_000;
  for (let i = 0; i <= 100_000; i++) {
    // Between the places where the worker rounds: nobody knows which way it does there.
    const share = i / 100_000 + 0.000_001;
    const shown = inPercent(fourDigits(share));
    if (share >= leastShare(shown) && (shown === 100 || share < leastShare(shown + 1))) continue;
    expect([share, shown]).toEqual("in");
  }
  expect([leastShare(0), leastShare(100)]).toEqual([0, 0.99995]);
  expect([0.284_9, 0.285, 0.894_9, 0.895, 0.999_9].map(percent)).toEqual([
    "28%",
    "29%",
    "89%",
    "90%",
    "99%",
  ]);
});

test("the plugin is called as its folder is, whatever signs are in that", () => {
  const id = (folder: string) => pluginId(`http://stash/plugin/${folder}/javascript?v=1`);
  expect(id("my%20sense")).toBe("my sense");
  expect(id("sense100%")).toBe("sense100%");
});

test("confidence is said, not only drawn", () => {
  show(<Confidence share={0.874} />);
  expect(screen.getByTitle("Confidence 87%")).toHaveTextContent("Confidence 87%");
});

describe("the strip", () => {
  const pictures = (asked: Shapes["PicturesAsked"]): Shapes["PicturesTold"] => ({
    pictures: asked.times_s.map((time_s) => ({ time_s, tile: null, data: PIXEL })),
    note: "",
  });

  test("a click on a frame plays from its time", async () => {
    new FakeStash({ pictures });
    const played: number[] = [];
    const seek = (seconds: number) => played.push(seconds);
    const { container } = show(
      <Strip sceneId="7" proofs={[proof(65), proof(5)]} durationS={100} seek={seek} most={8} />,
    );
    const frames = screen.getAllByRole("button");
    expect(frames.map((each) => each.getAttribute("aria-label"))).toEqual([
      "Play from 0:05",
      "Play from 1:05",
    ]);
    await userEvent.click(screen.getByRole("button", { name: "Play from 1:05" }));
    expect(played).toEqual([65]);
    await waitFor(() => expect(container.querySelectorAll("img")).toHaveLength(2));
  });

  test("strips ask for their frames together, 24 to a call, and each only once", async () => {
    const stash = new FakeStash({ pictures });
    const strips = [0, 10, 20, 30].map((first) => (
      <Strip
        key={first}
        sceneId="7"
        proofs={[0, 1, 2, 3, 4, 5, 6, 7].map((each) => proof(first + each))}
        durationS={100}
        seek={seek}
        most={8}
      />
    ));
    const { container, unmount } = show(<div>{strips}</div>);
    await waitFor(() => expect(container.querySelectorAll("img")).toHaveLength(32));
    const asked = stash.calls.map(({ args }) => (args.times_s as number[]).length);
    expect(asked).toEqual([24, 8]);
    unmount();
    const again = show(<div>{strips}</div>);
    await waitFor(() => expect(again.container.querySelectorAll("img")).toHaveLength(32));
    expect(stash.calls).toHaveLength(2);
  });

  test("of many scenes two are asked about at once, and all get their frames", async () => {
    const stash = new FakeStash({ pictures });
    let most = 0;
    let open = 0;
    const client = stashApi().utils.StashService.getClient();
    const mutate = client.mutate.bind(client);
    client.mutate = (async (given: Parameters<typeof mutate>[0]) => {
      open += 1;
      most = Math.max(most, open);
      try {
        return await mutate(given);
      } finally {
        open -= 1;
      }
    }) as typeof client.mutate;
    const ids = ["31", "32", "33", "34", "35", "36"];
    const { container } = show(
      <div>
        {ids.map((id) => (
          <Strip key={id} sceneId={id} proofs={[proof(5)]} durationS={100} seek={seek} most={8} />
        ))}
      </div>,
    );
    await waitFor(() => expect(container.querySelectorAll("img")).toHaveLength(6));
    expect(stash.calls).toHaveLength(6);
    expect(most).toBe(2);
    for (const id of ids) forgetPictures(id);
  });

  test("of many frames the best are shown, one of each moment, in the order of time", () => {
    new FakeStash({ pictures });
    const proofs = [
      proof(50, { score: 0.5 }),
      proof(9, { score: 0.9 }),
      proof(9, { score: 0.4 }),
      proof(30, { score: 0.8 }),
      proof(900, { score: 1 }),
    ];
    show(<Strip sceneId="7" proofs={proofs} durationS={100} seek={seek} most={2} />);
    expect(screen.getAllByRole("button").map((each) => each.title)).toEqual([
      "Play from 0:09 (90%)",
      "Play from 0:30 (80%)",
    ]);
  });

  test("of frames that bear the same time the best is shown", () => {
    new FakeStash({ pictures });
    const proofs = [4.1, 4.3, 4.9, 8].map((time_s, i) => proof(time_s, { score: 0.5 + i / 10 }));
    show(<Strip sceneId="7" proofs={proofs} durationS={100} seek={seek} most={8} />);
    expect(screen.getAllByRole("button").map((each) => each.title)).toEqual([
      "Play from 0:04 (70%)",
      "Play from 0:08 (80%)",
    ]);
  });

  test("a frame of Stash's own sheet is cropped from it", async () => {
    new FakeStash({
      pictures: ({ times_s }) => ({
        pictures: times_s.map((time_s) => ({ time_s, tile: TILE, data: null })),
        note: "",
      }),
    });
    const box = [0.25, 0.5, 0.5, 0.25];
    const { container } = show(
      <Strip sceneId="7" proofs={[proof(5, { box })]} durationS={100} seek={seek} most={8} />,
    );
    await waitFor(() => expect(container.querySelector(".sense-frame-tile")).not.toBeNull());
    const tile = container.querySelector(".sense-frame-tile") as HTMLElement;
    expect(tile.style.backgroundImage).toBe('url("/scene/abc_sprite.jpg")');
    expect(tile.style.backgroundPosition).toBe("12.5% 12.5%");
    expect(tile.style.backgroundSize).toBe("900% 900%");
    const outline = tile.querySelector(".sense-frame-box") as HTMLElement;
    expect([outline.style.left, outline.style.top]).toEqual(["25%", "50%"]);
  });

  test("where there is no picture the frame still plays, and the next strip asks again", async () => {
    let away = true;
    const stash = new FakeStash({
      pictures: (asked) => {
        if (away) throw new Error("The file is away");
        return pictures(asked);
      },
    });
    const strip = <Strip sceneId="7" proofs={[proof(5)]} durationS={100} seek={seek} most={8} />;
    const { unmount, container } = show(strip);
    expect(await screen.findByText("no picture")).toHaveAttribute("title", "The file is away");
    expect(screen.getByRole("button", { name: "Play from 0:05" })).toBeEnabled();
    unmount();
    away = false;
    const again = show(strip);
    await waitFor(() => expect(again.container.querySelector("img")).not.toBeNull());
    expect(stash.calls).toHaveLength(2);
    expect(container.querySelector("img")).toBeNull();
  });

  test("a picture is shown only from Stash itself or from the reply", () => {
    expect(dataAddress(PIXEL)).toBe(PIXEL);
    for (const bad of [
      "https://elsewhere/a.png",
      "data:image/svg+xml;base64,AAAA",
      "blob:x",
      null,
    ]) {
      expect(dataAddress(bad)).toBeUndefined();
    }
    expect(sheetAddress('/scene/a")x.jpg?t=1')).toBe("/scene/a%22%29x.jpg?t=1");
    for (const bad of ["//elsewhere/a.jpg", "https://elsewhere/a.jpg", "/\\elsewhere", "a.jpg"]) {
      expect(sheetAddress(bad)).toBeUndefined();
    }
  });
});

describe("the timeline", () => {
  const ranges = [
    { start_s: 5, end_s: 20, score: 1 },
    { start_s: 60, end_s: 70, score: 1 },
  ];

  test("draws where it holds, and says it", async () => {
    const played: number[] = [];
    const { container } = show(
      <Timeline ranges={ranges} durationS={100} seek={(s) => played.push(s)} label="Beach" />,
    );
    expect(screen.getByText("Beach: 2 ranges, 0:05 to 0:20, 1:00 to 1:10")).toBeInTheDocument();
    const [first, second] = container.querySelectorAll<HTMLElement>(".sense-timeline-range");
    expect([first?.style.left, first?.style.width]).toEqual(["5%", "15%"]);
    await userEvent.click(second as HTMLElement);
    expect(played).toEqual([60]);
    screen.getByRole("button", { name: "Play 0:05 to 0:20" }).focus();
    await userEvent.keyboard("{Enter}");
    expect(played).toEqual([60, 5]);
  });

  test("a frame that two models speak of is marked once", () => {
    const complained = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const { container } = show(
      <Timeline ranges={ranges} marks={[8, 9, 8]} durationS={100} seek={seek} label="Beach" />,
    );
    expect(container.querySelectorAll(".sense-timeline-mark")).toHaveLength(2);
    expect(complained).not.toHaveBeenCalled();
    complained.mockRestore();
  });

  test("of hundreds of ranges the first are said and the others counted", () => {
    const hundreds = Array.from({ length: 200 }, (_, i) => ({ start_s: i * 2, end_s: i * 2 + 1 }));
    show(<Timeline ranges={hundreds} durationS={400} seek={seek} label="Beach" />);
    expect(screen.getByText(/^Beach: 200 ranges, .* and 188 more$/)).toBeInTheDocument();
  });

  test("without a duration the last range ends it; without ranges there is none", () => {
    const { container } = show(
      <>
        <Timeline ranges={ranges} durationS={null} seek={seek} label="Beach" />
        <Timeline ranges={[]} durationS={100} seek={seek} label="Nothing" />
      </>,
    );
    const [, second] = container.querySelectorAll<HTMLElement>(".sense-timeline-range");
    expect(Number.parseFloat(second?.style.left ?? "")).toBeCloseTo(85.7, 1);
    expect(container.querySelectorAll(".sense-timeline")).toHaveLength(1);
  });
});
