/** The review page: thousands of rows, keys, undo, failures, and its address. */
import { act, fireEvent, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import React from "react";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { ChooseName, NameDone } from "../src/review/Empty";
import { show } from "./fake_stash";
import { active, at, beaches, Library, layOut, review, rows, suggestion } from "./review_kit";

let restore: () => void;
beforeAll(() => {
  restore = layOut();
});
afterAll(() => restore());

let library: Library;
afterEach(async () => {
  library.away = undefined;
  await act(() => library.answers.settled());
});

async function open(given: Library, search: string) {
  library = given;
  const shown = review(library, search);
  await waitFor(() => expect(rows().length).toBeGreaterThan(0));
  await waitFor(() => expect(rows()).toContain(document.activeElement));
  return shown;
}

/** One key, at once: a person's are slower, and a test of hundreds has no time to wait for it. */
function press(key: string) {
  fireEvent.keyDown(document.activeElement ?? document.body, { key });
}

const BEACH = "?by=tag&tag=Beach";

test("of ten thousand rows a window is in the page", async () => {
  await open(new Library(beaches(10_000)), BEACH);
  let most = 0;
  for (let i = 0; i < 15; i++) {
    press("End");
    await waitFor(() => expect(library.stash.calls.length).toBeGreaterThan(i));
    expect(rows()).toContain(document.activeElement);
    most = Math.max(most, rows().length);
  }
  expect(most).toBeLessThan(40);
  expect(document.getElementsByTagName("*").length).toBeLessThan(1500);
  const pages = library.stash.calls.filter(({ mode }) => mode === "suggestions");
  expect(pages.length).toBeGreaterThan(12);
  expect(new Set(pages.map(({ args }) => args.after)).size).toBe(pages.length);
});

test("two hundred are reviewed by keys alone, and sent some at a time", async () => {
  await open(new Library(beaches(200)), BEACH);
  for (let i = 1; i <= 200; i++) {
    expect(active()).toMatch(new RegExp(`Scene ${i}$`));
    press(i % 3 === 0 ? "r" : "a");
    // Its answers come between the keys, as they do for a person.
    if (i % 10 === 0) await act(() => new Promise((done) => setTimeout(done)));
  }
  expect(await screen.findByText("Nothing of Beach waits any more")).toBeInTheDocument();
  await act(() => library.answers.settled());
  expect(library.standing("asked")).toEqual([]);
  expect(library.standing("refused").map((row) => row.scene_id)).toEqual(
    Array.from({ length: 66 }, (_, i) => String((i + 1) * 3)),
  );
  const sent = [...library.sent("accept"), ...library.sent("refuse")];
  expect(sent.length).toBeLessThan(40);
  expect(Math.max(...sent.map((part) => part.length))).toBeLessThanOrEqual(100);
  expect(sent.flat()).toHaveLength(200);
  expect(screen.getByText("0 suggestions wait")).toBeInTheDocument();
});

test("what is undone before it is sent is dropped, and its row is back in its place", async () => {
  await open(new Library(beaches(5)), BEACH);
  // At once: what is said is sent after a second.
  for (const key of "jaa") press(key);
  expect(active()).toMatch(/Scene 4$/);
  expect(screen.getByText("Accepted Beach for Scene 3")).toBeInTheDocument();
  for (const key of "uu") press(key);
  await waitFor(() => expect(active()).toMatch(/Scene 2$/));
  expect(rows().map((row) => row.getAttribute("aria-label")?.slice(-1))).toEqual([..."12345"]);
  await act(() => library.answers.settled());
  expect(library.stash.calls.filter(({ mode }) => /accept|unsay/.test(mode))).toEqual([]);
});

test("what is undone after it was sent is unsaid", async () => {
  await open(new Library(beaches(3)), BEACH);
  await userEvent.keyboard("ar");
  await act(() => library.answers.settled());
  expect(library.standing("refused")).toHaveLength(1);
  for (const key of "uu") press(key);
  await act(() => library.answers.settled());
  expect(library.sent("unsay")).toEqual([["2", "1"]]);
  expect(library.standing("asked")).toHaveLength(3);
  await waitFor(() => expect(active()).toMatch(/Scene 1$/));
  expect(screen.getByText("3 suggestions wait")).toBeInTheDocument();
});

test("what is undone names what is meant, so that a lost reply takes back nothing more", async () => {
  await open(new Library(beaches(3)), BEACH);
  await userEvent.keyboard("a");
  await act(() => library.answers.settled());
  library.lose = 1;
  await userEvent.keyboard("u");
  await act(() => library.answers.settled());
  await userEvent.click(screen.getByRole("button", { name: "Try again" }));
  await act(() => library.answers.settled());
  const asked = library.stash.calls.filter(({ mode }) => mode === "unsay");
  const item = { scene_id: "1", kind: "tag", name: "Beach", said: "accepted" };
  expect(asked.map(({ args }) => args.items)).toEqual([[item], [item]]);
  // That it was done already is no failure.
  expect(screen.queryByText(/could not be/)).not.toBeInTheDocument();
  expect(rows()).toHaveLength(3);
  expect(library.answers.unsent).toBe(0);
});

test("of one row all is sent in the order in which it was said", async () => {
  await open(new Library(beaches(3)), BEACH);
  press("a");
  library.answers.flush();
  press("u");
  press("r");
  press("r");
  press("u");
  press("a");
  await act(() => library.answers.settled());
  const modes = library.stash.calls
    .map(({ mode }) => mode)
    .filter((mode) => /^acc|ref|uns/.test(mode));
  expect(modes).toEqual(["accept", "unsay", "refuse", "accept"]);
  expect(library.standing("refused").map((row) => row.scene_id)).toEqual(["1"]);
  expect(library.standing("accepted").map((row) => row.scene_id)).toEqual(["2"]);
});

test("undo works where the list is empty, and a key held down answers once", async () => {
  await open(new Library(beaches(2)), BEACH);
  await userEvent.keyboard("{a>5/}");
  expect(rows()).toHaveLength(1);
  await userEvent.keyboard("a");
  expect(await screen.findByText("It was the last name with something to ask.")).toBeVisible();
  await userEvent.keyboard("u");
  await waitFor(() => expect(active()).toMatch(/Scene 2$/));
});

test("what could not be done comes back in its place, with the reason", async () => {
  const given = new Library(beaches(6));
  given.broken.set("2 tag Beach", "its file has changed since it was looked at");
  await open(given, BEACH);
  await userEvent.keyboard("aaa");
  expect(active()).toMatch(/Scene 4$/);
  await act(() => library.answers.settled());
  expect(rows().map((row) => row.getAttribute("aria-label")?.slice(-1))).toEqual([..."2456"]);
  expect(active()).toMatch(/Scene 4$/);
  const reason =
    "Not done: its file has changed since it was looked at; let it be tagged once more";
  expect(within(rows()[0] as HTMLElement).getByText(reason)).toBeInTheDocument();
  expect(screen.getByText(/1 answer could not be carried out/)).toBeInTheDocument();
  // It is not among what can be undone.
  await userEvent.keyboard("u");
  await waitFor(() => expect(active()).toMatch(/Scene 3$/));
  await userEvent.keyboard("k");
  expect(active()).toMatch(/Scene 2$/);
  library.broken.clear();
  await userEvent.keyboard("a");
  expect(screen.queryByText(reason)).not.toBeInTheDocument();
});

test("where Stash is away the answers wait, are sent again, or are forgotten", async () => {
  await open(new Library(beaches(4)), BEACH);
  library.away = "Cannot reach the worker";
  await userEvent.keyboard("aa");
  await act(() => library.answers.settled());
  expect(screen.getByText(/2 answers could not be saved yet: Cannot reach/)).toBeInTheDocument();
  await userEvent.click(screen.getByRole("button", { name: "Try again" }));
  await act(() => library.answers.settled());
  library.away = undefined;
  await userEvent.click(screen.getByRole("button", { name: "Try again" }));
  await act(() => library.answers.settled());
  expect(library.standing("accepted")).toHaveLength(2);
  expect(screen.queryByText(/could not be saved/)).not.toBeInTheDocument();
  library.away = "Cannot reach the worker";
  await userEvent.click(screen.getByRole("button", { name: "Refuse Beach, Scene 3" }));
  await act(() => library.answers.settled());
  expect(rows()).toHaveLength(1);
  fireEvent.click(screen.getByRole("button", { name: "Forget them" }));
  expect(rows()).toHaveLength(2);
  expect(library.standing("refused")).toEqual([]);
});

test("what cannot be sent keeps the window open and is told, also on another page", async () => {
  const closes = () => window.dispatchEvent(new Event("beforeunload", { cancelable: true }));
  const { unmount } = await open(new Library(beaches(3)), BEACH);
  expect(closes()).toBe(true);
  library.away = "Cannot reach the worker";
  await userEvent.keyboard("a");
  unmount();
  await act(() => library.answers.settled());
  expect(closes()).toBe(false);
  await waitFor(() =>
    expect(library.stash.toasts).toEqual([
      "error: Error: 1 answer of Stash Sense could not be saved yet and will be sent again: Cannot reach the worker",
    ]),
  );
  library.away = undefined;
  library.answers.flush();
  await act(() => library.answers.settled());
  expect(library.standing("accepted")).toHaveLength(1);
  expect(closes()).toBe(true);
});

test("names, titles and texts are text and nothing else", async () => {
  const name = `<img src=x onerror="window.hacked=1"> & "quoted"`;
  const title = "</a><script>window.hacked=1</script>\u202Eelif";
  const given = new Library([suggestion({ scene_id: "1", name, title })]);
  await open(given, `?${new URLSearchParams({ by: "tag", tag: name })}`);
  expect(screen.getByRole("heading", { name: /onerror=/ })).toBeInTheDocument();
  const link = screen.getByRole("link", { name: title });
  expect(link).toHaveAttribute("href", "/scenes/1");
  expect(document.querySelector("script, img[src=x]")).toBeNull();
  await userEvent.keyboard("a");
  await act(() => library.answers.settled());
  expect(library.standing("accepted").map((row) => row.name)).toEqual([name]);
});

test("the address says what is shown, and names are one key apart", async () => {
  const given = new Library([...beaches(3), ...beaches(5, "Dog"), ...beaches(1, "Cat")]);
  library = given;
  review(given);
  const list = await screen.findByRole("list", { name: "Names with suggestions" });
  expect(
    within(list)
      .getAllByRole("link")
      .map((link) => link.textContent),
  ).toEqual(["Dog5 waiting", "Beach3 waiting", "Cat1 waiting"]);
  expect(screen.getByText("9 suggestions of 3 names wait for your word")).toBeInTheDocument();
  await userEvent.click(within(list).getByRole("link", { name: /Beach/ }));
  expect(at.now).toBe("/plugins/stash-sense?by=tag&tag=Beach");
  await waitFor(() => expect(active()).toMatch(/^Beach, 99%, Scene 1$/));
  await userEvent.keyboard("n");
  expect(at.now).toBe("/plugins/stash-sense?by=tag&tag=Dog");
  await waitFor(() => expect(active()).toMatch(/^Dog/));
  await userEvent.keyboard("ja");
  expect(within(list).getByRole("link", { name: /Dog/ })).toHaveTextContent("4 waiting");
  await userEvent.keyboard("o");
  expect(at.now).toBe("/scenes/3");
});

test("names keep their places while they are answered", async () => {
  await open(new Library([...beaches(3), ...beaches(5, "Dog"), ...beaches(4, "Cat")]), BEACH);
  const names = screen.getByRole("list", { name: "Names with suggestions" });
  const shown = () => [...names.children].map((each) => each.textContent?.replace(" waiting", ""));
  expect(shown()).toEqual(["Dog5", "Cat4", "Beach3"]);
  await userEvent.click(within(names).getByRole("link", { name: /^Cat/ }));
  await waitFor(() => expect(active()).toMatch(/^Cat/));
  await userEvent.keyboard("aaa");
  expect(shown()).toEqual(["Dog5", "Cat1", "Beach3"]);
  await userEvent.keyboard("a");
  expect(shown()).toEqual(["Dog5", "Cat0", "Beach3"]);
  // The one to go on with is still that of which the most waits.
  expect(screen.getByRole("link", { name: "Next: Dog (5)" })).toBeInTheDocument();
  await userEvent.keyboard("u");
  expect(shown()).toEqual(["Dog5", "Cat1", "Beach3"]);
});

test("the filter finds names, and arrows lead into the list", async () => {
  const given = new Library([...beaches(3), ...beaches(5, "Dog"), ...beaches(1, "Sandy beach")]);
  await open(given, "?by=tag&tag=Dog");
  await userEvent.keyboard("/");
  const filter = screen.getByRole("searchbox", { name: "Filter names" });
  expect(filter).toHaveFocus();
  await userEvent.type(filter, "beachu");
  expect(screen.getByText(/No name has/)).toBeInTheDocument();
  await userEvent.type(filter, "{Backspace}{ArrowDown}");
  await waitFor(() => expect(document.activeElement).toHaveTextContent("Beach3 waiting"));
  await userEvent.keyboard("{ArrowDown}");
  await waitFor(() => expect(document.activeElement).toHaveTextContent("Sandy beach1 waiting"));
  await userEvent.keyboard("{Enter}");
  expect(at.now).toContain("tag=Sandy+beach");
});

test("scene after scene, one or all of it at once", async () => {
  const given = new Library([
    suggestion({ scene_id: "1", name: "Beach" }),
    suggestion({ scene_id: "1", name: "Dog" }),
    suggestion({ scene_id: "1", name: "Sea" }),
    suggestion({ scene_id: "2", name: "Cat", title: "Cats" }),
  ]);
  await open(given, "?by=scene");
  expect(screen.getAllByRole("heading", { level: 3 }).map((each) => each.textContent)).toEqual([
    "Scene 1",
    "Cats",
  ]);
  await userEvent.keyboard("r");
  expect(active()).toMatch(/^Dog/);
  await userEvent.keyboard("{Shift>}a{/Shift}");
  await waitFor(() => expect(active()).toMatch(/^Cat/));
  expect(screen.queryByRole("heading", { name: "Scene 1" })).not.toBeInTheDocument();
  await userEvent.keyboard("u");
  await waitFor(() => expect(rows()).toHaveLength(3));
  await userEvent.click(screen.getByRole("button", { name: "Refuse all 2 of Scene 1" }));
  await userEvent.keyboard("a");
  await act(() => library.answers.settled());
  expect(library.standing("refused").map((row) => row.name)).toEqual(["Beach", "Dog", "Sea"]);
  expect(library.standing("accepted").map((row) => row.name)).toEqual(["Cat"]);
  expect(await screen.findByText("Nothing waits for you")).toBeInTheDocument();
});

test("what was refused is listed, and can be taken back and refused again", async () => {
  const given = new Library(beaches(3));
  await open(given, BEACH);
  await userEvent.keyboard("rr");
  await userEvent.click(screen.getByRole("link", { name: /Refused/ }));
  expect(at.now).toContain("by=refused");
  await waitFor(() => expect(rows()).toHaveLength(2));
  await waitFor(() => expect(rows()).toContain(document.activeElement));
  await userEvent.keyboard("a");
  expect(rows()).toHaveLength(2);
  await userEvent.keyboard("t");
  expect(rows()).toHaveLength(1);
  await act(() => library.answers.settled());
  expect(library.sent("unsay")).toEqual([["1"]]);
  await userEvent.keyboard("u");
  await act(() => library.answers.settled());
  expect(library.standing("refused").map((row) => row.scene_id)).toEqual(["1", "2"]);
});

test("all above a confidence are counted, asked about, accepted and undone as one", async () => {
  await open(new Library(beaches(250)), BEACH);
  const sure = library.rows.filter((row) => Math.round(row.confidence * 100) >= 90).length;
  await userEvent.click(screen.getByRole("button", { name: `Accept all above 90% (${sure})` }));
  const dialog = await screen.findByRole("dialog");
  expect(
    await within(dialog).findByText(new RegExp(`^${sure} scenes would get Beach`)),
  ).toBeInTheDocument();
  await userEvent.click(within(dialog).getByRole("button", { name: `Accept ${sure}` }));
  expect(await screen.findByText(`Accepted Beach for ${sure} scenes`)).toBeInTheDocument();
  expect(library.standing("accepted")).toHaveLength(sure);
  await waitFor(() =>
    expect(screen.getByText(`${250 - sure} suggestions wait`)).toBeInTheDocument(),
  );
  await userEvent.click(screen.getByRole("button", { name: "Undo" }));
  await act(() => library.answers.settled());
  expect(library.standing("asked")).toHaveLength(250);
});

test("above a percentage is what is shown as so much, by list, question and answer", async () => {
  const confidences = [0.9999, 0.895, 0.894_96, 0.894_94, 0.89, 0.5];
  const given = new Library(
    confidences.map((confidence, i) =>
      suggestion({ scene_id: String(i + 1), title: "", name: "Beach", confidence }),
    ),
  );
  // As the worker tells them: it compares what it knows, and tells four digits.
  const page = given.stash.answers.suggestions as NonNullable<
    typeof given.stash.answers.suggestions
  >;
  given.stash.answers.suggestions = (asked) => {
    const told = page(asked);
    const rounded = (share: number) => Math.round(share * 10_000) / 10_000;
    const suggestions = told.suggestions.map((row) => ({
      ...row,
      confidence: rounded(row.confidence),
    }));
    return { ...told, suggestions };
  };
  await open(given, BEACH);
  const shown = rows().map((row) =>
    within(row)
      .getByTitle(/^Confidence/)
      .title.slice(11),
  );
  expect(shown).toEqual(["99%", "90%", "90%", "89%", "89%", "50%"]);
  await userEvent.click(screen.getByRole("button", { name: "Accept all above 90% (3)" }));
  const dialog = await screen.findByRole("dialog");
  expect(within(dialog).getByText("Accept Beach above 90%?")).toBeInTheDocument();
  await userEvent.click(await within(dialog).findByRole("button", { name: "Accept 3" }));
  expect(await screen.findByText("Accepted Beach for 3 scenes")).toBeInTheDocument();
  expect(given.standing("accepted").map((row) => row.scene_id)).toEqual(["1", "2", "3"]);
  await userEvent.click(screen.getByRole("button", { name: "Undo" }));
  // Without titles they go by their files.
  expect(screen.getByText("Undone: Beach for 1.mp4 and 2 more, asked again")).toBeInTheDocument();
});

test("left and right lead through links, frames, ranges and buttons of a row", async () => {
  await open(new Library(beaches(2)), BEACH);
  await screen.findAllByRole("button", { name: "Play from 0:04" });
  const first = document.activeElement;
  const passed: string[] = [];
  for (let i = 0; i < 6; i++) {
    await userEvent.keyboard("{ArrowRight}");
    const here = document.activeElement;
    passed.push(here?.getAttribute("aria-label") ?? here?.textContent ?? "");
  }
  expect(passed).toEqual([
    "Scene 1",
    "Play from 0:04",
    "Play 0:01 to 0:09",
    "Accept Beach, Scene 1",
    "Refuse Beach, Scene 1",
    "Refuse Beach, Scene 1",
  ]);
  await userEvent.keyboard("{ArrowLeft>5/}");
  expect(document.activeElement).toBe(first);
  await userEvent.keyboard("{ArrowRight>3/}j");
  expect(active()).toMatch(/Scene 2$/);
  await userEvent.keyboard("{ArrowRight>3/}{Enter}");
  expect(at.now).toBe("/scenes/2?t=1");
});

test("the tab key stops in the row that the keys are about, at its frames and ranges too", async () => {
  await open(new Library(beaches(2)), BEACH);
  await screen.findAllByRole("button", { name: "Play from 0:04" });
  const stops = (row: HTMLElement) =>
    [...row.querySelectorAll<HTMLElement>("a, button")].filter((each) => each.tabIndex === 0);
  const [first, second] = rows() as [HTMLElement, HTMLElement];
  expect(stops(first)).toHaveLength(5);
  expect(stops(second)).toHaveLength(0);
});

test("many are accepted page after page, and it can be stopped", async () => {
  await open(new Library(beaches(1000)), BEACH);
  const slider = screen.getByRole("slider", { name: "Least confidence to accept" });
  fireEvent.change(slider, { target: { value: "0" } });
  await userEvent.click(screen.getByRole("button", { name: /^Accept all above 0%/ }));
  await userEvent.click(await screen.findByRole("button", { name: "Accept 1,000" }));
  await userEvent.click(await screen.findByRole("button", { name: "Stop" }));
  await screen.findByText(/^Accepted Beach for \d+ scenes/);
  const accepted = library.standing("accepted").length;
  expect(accepted).toBeGreaterThan(0);
  expect(accepted).toBeLessThan(1000);
});

test("undo while many are accepted undoes them all, and no more follow", async () => {
  await open(new Library(beaches(250)), BEACH);
  const slider = screen.getByRole("slider", { name: "Least confidence to accept" });
  fireEvent.change(slider, { target: { value: "0" } });
  await userEvent.click(screen.getByRole("button", { name: /^Accept all above 0%/ }));
  await userEvent.click(await screen.findByRole("button", { name: "Accept 250" }));
  await screen.findByText("Beach: 100 of 250");
  fireEvent.click(screen.getByRole("button", { name: "Undo" }));
  await waitFor(() => expect(screen.queryByRole("button", { name: "Stop" })).toBeNull());
  await act(() => library.answers.settled());
  expect(library.standing("asked")).toHaveLength(250);
  expect(screen.getByRole("button", { name: "Undo" })).toBeDisabled();
  expect(screen.getByText(/^Undone: Beach for Scene 1 /)).toBeInTheDocument();
  const unsaid = library.sent("unsay").flat();
  expect(new Set(unsaid).size).toBe(unsaid.length);
});

test("keys in a dialog do nothing to the page behind it", async () => {
  await open(new Library([...beaches(30), ...beaches(5, "Dog")]), BEACH);
  await userEvent.keyboard("a");
  await act(() => library.answers.settled());
  await userEvent.click(screen.getByRole("button", { name: /^Accept all above 90%/ }));
  const dialog = await screen.findByRole("dialog");
  for (const key of ["u", "n"]) {
    fireEvent.keyDown(within(dialog).getByRole("button", { name: "Cancel" }), { key });
  }
  await act(() => library.answers.settled());
  expect(dialog).toBeInTheDocument();
  expect(screen.getByRole("button", { name: "Undo", hidden: true })).toBeEnabled();
  expect(library.sent("unsay")).toEqual([]);
  expect(library.standing("accepted")).toHaveLength(1);
});

test("those that could not be accepted are not counted among the accepted", async () => {
  const given = new Library(beaches(30));
  for (const id of ["2", "5"]) given.broken.set(`${id} tag Beach`, "its file has changed");
  await open(given, BEACH);
  const slider = screen.getByRole("slider", { name: "Least confidence to accept" });
  fireEvent.change(slider, { target: { value: "0" } });
  await userEvent.click(screen.getByRole("button", { name: /^Accept all above 0%/ }));
  await userEvent.click(await screen.findByRole("button", { name: "Accept 30" }));
  expect(await screen.findByText("Accepted Beach for 28 scenes")).toBeInTheDocument();
  expect(library.standing("accepted")).toHaveLength(28);
});

test("where nothing waits it says why, and what to do", async () => {
  library = new Library([]);
  review(library);
  expect(await screen.findByText("No scene was looked at yet")).toBeInTheDocument();
  // As the button there is called.
  expect(screen.getByText(/press “Tag the whole library” on the dashboard/)).toBeInTheDocument();
  expect(screen.getByRole("link", { name: "Open the dashboard" })).toHaveAttribute(
    "href",
    "/plugins/stash-sense/dashboard",
  );
});

test("the keys that are told of are those that do something there", async () => {
  const told = async (search: string) => {
    library = new Library(beaches(2));
    const { container, unmount } = review(library, search);
    await screen.findByText("Keys");
    const keys = [...container.querySelectorAll("kbd")].map((each) => each.textContent);
    unmount();
    return keys;
  };
  expect(await told(BEACH)).toEqual(["j / k", "a", "r", "u", "o", "← / →", "Enter", "n", "/"]);
  expect(await told("?by=scene")).toEqual(["j / k", "a", "r", "A / R", "u", "o", "← / →", "Enter"]);
  expect(await told("?by=refused")).toEqual(["j / k", "t", "u", "o", "← / →", "Enter"]);
});

test("links lead to the review page from wherever they stand", () => {
  const name = { kind: "tag", name: "Beach", ask: 3, apply: 0, refused: 0 } as const;
  show(
    <>
      <NameDone name="Dog" next={name} />
      <ChooseName names={[name]} ask={3} />
    </>,
    "/scenes",
  );
  const links = screen.getAllByRole("link").map((link) => link.getAttribute("href"));
  expect(links).toEqual(Array(2).fill("/plugins/stash-sense?by=tag&tag=Beach"));
});

test("where nothing is set up the page says so, and mends it", async () => {
  library = new Library([]);
  library.stash.answers.counts = () => {
    throw new Error("Stash Sense is not set up yet: run the task Set up");
  };
  review(library);
  expect(await screen.findByRole("button", { name: "Set up" })).toBeInTheDocument();
});

test("a page of the list that does not come is asked for again", async () => {
  const given = new Library(beaches(3));
  given.away = "The worker is starting";
  library = given;
  review(given, BEACH);
  expect(await screen.findByText("The worker is starting")).toBeInTheDocument();
  given.away = undefined;
  await userEvent.click(screen.getByRole("button", { name: "Try again" }));
  await waitFor(() => expect(rows()).toHaveLength(3));
});

test("keys with a modifier, and those of a field, are left alone", async () => {
  await open(new Library(beaches(3)), BEACH);
  await userEvent.keyboard("{Control>}a{/Control}{Alt>}r{/Alt}");
  await userEvent.type(screen.getByRole("searchbox"), "aru");
  expect(rows()).toHaveLength(3);
});

test("frames and ranges of what was passed long ago are let go, and fetched again in sight", async () => {
  await open(new Library(beaches(3000)), BEACH);
  for (let i = 0; i < 22; i++) {
    press("End");
    await waitFor(() => expect(library.stash.calls.length).toBeGreaterThan(i));
    expect(rows()).toContain(document.activeElement);
  }
  const firsts = () =>
    library.stash.calls.filter(({ mode, args }) => mode === "suggestions" && !args.after).length;
  const before = firsts();
  await userEvent.keyboard("{Home}");
  await waitFor(() => expect(firsts()).toBe(before + 1));
  await waitFor(() => expect(active()).toMatch(/Scene 1$/));
  const first = document.activeElement as HTMLElement;
  expect(await within(first).findByText(/CLIP ViT-B\/32 saw it in 1 frame/)).toBeInTheDocument();
});
