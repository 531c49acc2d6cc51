/** Where the keys go on in Review when what had the focus is gone, and what comes back into a list. */
import { act, fireEvent, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { active, beaches, Library, layOut, review, rows, suggestion } from "./review_kit";

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

const BEACH = "?by=tag&tag=Beach";

async function open(given: Library, search: string) {
  library = given;
  review(library, search);
  await waitFor(() => expect(rows()).toContain(document.activeElement));
}

const settled = () => act(() => library.answers.settled());
const page = () => screen.getByRole("region", { name: "Review" });

/** By keys alone, down to a confidence. */
async function acceptAbove(percentage: number) {
  const slider = screen.getByRole("slider", { name: "Least confidence to accept" });
  fireEvent.change(slider, { target: { value: String(percentage) } });
  screen.getByRole("button", { name: /^Accept all above/ }).focus();
  await userEvent.keyboard("{Enter}");
  const accept = await screen.findByRole("button", { name: /^Accept \d/ });
  accept.focus();
  await userEvent.keyboard("{Enter}");
}

test("while all above are accepted the focus is on how far it is, and then in the list", async () => {
  await open(new Library(beaches(250)), BEACH);
  const arrive = library.stash.holds("accept", ({ items }) => items !== undefined);
  await acceptAbove(90);
  await waitFor(() => expect(screen.getByRole("group", { name: "Accepting Beach" })).toHaveFocus());
  // A key held too long stops nothing.
  await userEvent.keyboard("{Enter}");
  arrive();
  const sure = library.rows.filter((row) => Math.round(row.confidence * 100) >= 90).length;
  await screen.findByText(`Accepted Beach for ${sure} scenes`);
  await waitFor(() => expect(rows()).toContain(document.activeElement));
  await userEvent.keyboard("u");
  await settled();
  expect(library.standing("asked")).toHaveLength(250);
});

test("where all are accepted the focus is on what comes next, and u undoes them", async () => {
  await open(new Library([...beaches(30), ...beaches(3, "Dog")]), BEACH);
  await acceptAbove(0);
  await screen.findByText("Accepted Beach for 30 scenes");
  await waitFor(() => expect(screen.getByRole("link", { name: "Next: Dog (3)" })).toHaveFocus());
  await userEvent.keyboard("u");
  await settled();
  expect(library.standing("asked")).toHaveLength(33);
  await waitFor(() => expect(active()).toMatch(/Scene 1$/));
});

test("what had the focus and is accepted with others leaves it to the next row", async () => {
  await open(new Library(beaches(250)), BEACH);
  const row = document.activeElement as HTMLElement;
  await acceptAbove(90);
  row.focus();
  await screen.findByText(/^Accepted Beach for/);
  await waitFor(() => expect(rows()).toContain(document.activeElement));
});

test("after a click on Undo the keys go on with what was undone", async () => {
  await open(new Library(beaches(10)), BEACH);
  await userEvent.keyboard("aa");
  await userEvent.click(screen.getByRole("button", { name: "Undo" }));
  await waitFor(() => expect(active()).toMatch(/Scene 2$/));
  await userEvent.keyboard("j");
  expect(active()).toMatch(/Scene 3$/);
  await userEvent.click(screen.getByRole("button", { name: "Undo" }));
  await waitFor(() => expect(active()).toMatch(/Scene 1$/));
});

test("who presses Undo by the keyboard may press it again", async () => {
  await open(new Library(beaches(10)), BEACH);
  await userEvent.keyboard("aa");
  const undo = screen.getByRole("button", { name: "Undo" });
  undo.focus();
  await userEvent.keyboard("{Enter}");
  expect(undo).toHaveFocus();
  await userEvent.keyboard("{Enter}");
  await waitFor(() => expect(active()).toMatch(/Scene 1$/));
});

test("where nothing is listed the keys of the page still work after a click on Undo", async () => {
  library = new Library([...beaches(2), ...beaches(3, "Cat")]);
  library.answers.say([suggestion({ scene_id: "1", name: "Beach" })], "asked", "accepted");
  review(library, "?by=tag&tag=Dog");
  expect(await screen.findByText("Nothing of Dog waits any more")).toBeInTheDocument();
  await userEvent.click(screen.getByRole("button", { name: "Undo" }));
  expect(page()).toContainElement(document.activeElement as HTMLElement);
  await userEvent.keyboard("n");
  await waitFor(() => expect(active()).toMatch(/^Cat/));
});

test("what is undone where all was answered leaves the keys with what stands there then", async () => {
  await open(new Library(beaches(1)), BEACH);
  await userEvent.keyboard("a");
  await settled();
  await userEvent.click(screen.getByRole("link", { name: "By name" }));
  expect(await screen.findByText("Nothing waits for you")).toBeInTheDocument();
  screen.getByRole("link", { name: "Open the dashboard" }).focus();
  await userEvent.keyboard("u");
  expect(screen.getByRole("link", { name: "Begin with Beach (1)" })).toHaveFocus();
});

test("what is undone comes back into a list that was fetched without it", async () => {
  const two = ["1", "2"].map((scene_id) => suggestion({ scene_id, name: "Beach" }));
  await open(new Library(two), BEACH);
  await userEvent.keyboard("aa");
  await settled();
  await userEvent.click(screen.getByRole("link", { name: "By scene" }));
  expect(await screen.findByText("Nothing waits for you")).toBeInTheDocument();
  await userEvent.click(screen.getByRole("button", { name: "Undo" }));
  await waitFor(() => expect(active()).toMatch(/Scene 2$/));
  expect(screen.getByText("1 suggestion waits")).toBeInTheDocument();
  await userEvent.keyboard("u");
  await waitFor(() => expect(rows()).toHaveLength(2));
  await waitFor(() => expect(active()).toMatch(/Scene 1$/));
  await userEvent.keyboard("r");
  await settled();
  expect(library.standing("refused").map((row) => row.scene_id)).toEqual(["1"]);
});

test("what is undone and not sent yet is in a list that is opened meanwhile", async () => {
  const beach = ["1", "2"].map((scene_id) => suggestion({ scene_id, name: "Beach" }));
  await open(new Library([...beach, suggestion({ scene_id: "3", name: "Dog" })]), BEACH);
  await userEvent.keyboard("a");
  await settled();
  await userEvent.click(screen.getByRole("link", { name: /^Dog/ }));
  await waitFor(() => expect(active()).toMatch(/^Dog/));
  const asked = library.stash.calls.length;
  await userEvent.click(screen.getByRole("button", { name: "Undo" }));
  // The list of Dog has nothing to fetch again.
  await waitFor(() => expect(active()).toMatch(/^Dog/));
  await userEvent.click(screen.getByRole("link", { name: /^Beach/ }));
  await waitFor(() => expect(rows()).toHaveLength(2));
  expect(
    library.stash.calls
      .slice(asked)
      .filter(({ mode, args }) => mode !== "pictures" && args.tag === "Dog"),
  ).toEqual([]);
});

test("what could not be sent as the list was opened comes when it is sent", async () => {
  await open(new Library(beaches(2)), BEACH);
  await userEvent.keyboard("a");
  await settled();
  library.away = "Cannot reach the worker";
  await userEvent.keyboard("u");
  await settled();
  const fetching = library.stash.answers.suggestions as NonNullable<
    typeof library.stash.answers.suggestions
  >;
  // Only what is said does not arrive.
  library.stash.answers.suggestions = (asked) => {
    const away = library.away;
    library.away = undefined;
    try {
      return fetching(asked);
    } finally {
      library.away = away;
    }
  };
  await userEvent.click(screen.getByRole("link", { name: "By scene" }));
  await waitFor(() => expect(rows()).toHaveLength(1));
  const again = await screen.findByRole("button", { name: "Try again" });
  library.away = undefined;
  fireEvent.click(again);
  await waitFor(() => expect(rows()).toHaveLength(2));
});

test("what is refused is listed among the refused as soon as it is sent", async () => {
  await open(new Library(beaches(3)), BEACH);
  await userEvent.keyboard("r");
  await settled();
  await userEvent.click(screen.getByRole("link", { name: /^Refused/ }));
  await waitFor(() => expect(rows()).toHaveLength(1));
  await userEvent.keyboard("t");
  expect(await screen.findByText("Nothing is refused")).toBeInTheDocument();
  const nothing = screen.getByText("Nothing is refused").parentElement as HTMLElement;
  expect(within(nothing).getByText(/[Mm]arkers/)).toHaveTextContent(
    "Markers that you refused are listed on the Sense tab of their scene, and taken back there.",
  );
  await settled();
  await userEvent.keyboard("u");
  await waitFor(() => expect(rows()).toHaveLength(1));
});
