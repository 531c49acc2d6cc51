import { fireEvent, screen, waitFor } from "@testing-library/react";
import React, { useState } from "react";
import { expect, test, vi } from "vitest";
import { noteCard, withTagging, withTagSelected } from "../src/list/TagSelected";
import { FakeStash, show } from "./fake_stash";
import { job } from "./scene_rows";

interface Operation {
  text: string;
  onClick(): void;
  isDisplayed?(): boolean;
}

/** Stash's list of scenes as far as its patches reach: pages of cards or a table, and a menu. */
function List({ pages, table = false }: { pages: string[][]; table?: boolean }) {
  const [page, setPage] = useState(0);
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const [shown, setShown] = useState(true);
  const ids = pages[page] ?? [];
  const toggle = (id: string) =>
    setChosen((now) => (now.includes(id) ? now.filter((each) => each !== id) : [...now, id]));
  const props = withTagSelected({
    operations: [{ text: "Export all", onClick: () => {} }],
    hasSelection: chosen.length > 0,
  });
  const menu = (props.operations as Operation[])
    .filter((each) => each.isDisplayed?.() ?? true)
    .map((each) => (
      <button type="button" key={each.text} onClick={each.onClick}>
        {each.text}
      </button>
    ));
  const cards = ids.map((id) => (
    <React.Fragment key={id}>
      {noteCard(
        { scene: { id }, selected: chosen.includes(id) },
        <button type="button" onClick={() => toggle(id)}>
          Scene {id}
        </button>,
      )}
    </React.Fragment>
  ));
  const rows = (
    <table className="scene-table">
      <tbody>
        {ids.map((id) => (
          <tr key={id}>
            <td className="select-col">
              <input
                type="checkbox"
                aria-label={`Scene ${id}`}
                checked={chosen.includes(id)}
                onChange={() => toggle(id)}
              />
            </td>
            <td>
              <a href={`/stash/scenes/${id}?qs=1`}>Scene {id}</a>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
  return (
    <div>
      <button type="button" onClick={() => setPage(page + 1)}>
        Next page
      </button>
      <button type="button" onClick={() => setPage(page - 1)}>
        Last page
      </button>
      <button type="button" onClick={() => setChosen(ids)}>
        Select all
      </button>
      <button type="button" onClick={() => setChosen([])}>
        Select none
      </button>
      <button type="button" onClick={() => setShown(!shown)}>
        Leave or come
      </button>
      {chosen.length > 0 && (
        <div className="selected-items-info">
          <span className="selected-count">{chosen.length}</span>
        </div>
      )}
      {shown && withTagging(props, menu)}
      {shown && (table ? rows : cards)}
    </div>
  );
}

const press = (name: string) => fireEvent.click(screen.getByRole("button", { name }));

function begun(): FakeStash {
  return new FakeStash({ tag_scene: () => ({ job_id: "j1" }), job: () => job() });
}

async function asked(stash: FakeStash): Promise<unknown> {
  await waitFor(() => expect(stash.toasts).not.toEqual([]));
  return stash.calls.find(({ mode }) => mode === "tag_scene")?.args.scene_ids;
}

test("the entry is in the menu only while something is selected, beside what was there", () => {
  begun();
  show(<List pages={[["1", "2"]]} />);
  expect(screen.queryByRole("button", { name: "Tag selected" })).toBeNull();
  expect(screen.getByRole("button", { name: "Export all" })).toBeInTheDocument();
  press("Scene 1");
  expect(screen.getByRole("button", { name: "Tag selected" })).toBeInTheDocument();
  press("Scene 1");
  expect(screen.queryByRole("button", { name: "Tag selected" })).toBeNull();
});

test("tags what is selected and no more, and says so with the way to the dashboard", async () => {
  const stash = begun();
  show(<List pages={[["1", "2", "3"]]} />);
  for (const name of ["Scene 3", "Scene 1", "Scene 2", "Scene 1"]) press(name);
  press("Tag selected");
  expect(await asked(stash)).toEqual(["2", "3"]);
  expect(stash.toasts).toEqual(["Tagging 2 scenes. See the dashboard"]);
});

test("what was selected on another page is selected still", async () => {
  const stash = begun();
  show(<List pages={[["1", "2"], ["3"]]} />);
  press("Scene 1");
  press("Next page");
  press("Scene 3");
  press("Tag selected");
  expect(await asked(stash)).toEqual(["1", "3"]);
});

test("what is unselected after coming back is not tagged", async () => {
  const stash = begun();
  show(<List pages={[["1", "2"], ["3"]]} />);
  press("Scene 1");
  press("Scene 2");
  press("Next page");
  press("Last page");
  press("Scene 1");
  press("Tag selected");
  expect(await asked(stash)).toEqual(["2"]);
});

test("select all drops what was selected on other pages, as Stash does", async () => {
  const stash = begun();
  show(
    <List
      pages={[
        ["1", "2"],
        ["3", "4"],
      ]}
    />,
  );
  press("Scene 1");
  press("Next page");
  press("Select all");
  press("Tag selected");
  expect(await asked(stash)).toEqual(["3", "4"]);
});

test("nothing stays selected after select none or another list", async () => {
  const stash = begun();
  const { unmount } = show(<List pages={[["1"], ["2"]]} />);
  press("Scene 1");
  press("Next page");
  press("Select none");
  press("Scene 2");
  unmount();
  show(<List pages={[["3"]]} />);
  press("Scene 3");
  press("Tag selected");
  expect(await asked(stash)).toEqual(["3"]);
});

test("a table has no cards, and its boxes say what is selected", async () => {
  const stash = begun();
  show(<List pages={[["1", "2", "3"]]} table />);
  fireEvent.click(screen.getByRole("checkbox", { name: "Scene 2" }));
  fireEvent.click(screen.getByRole("checkbox", { name: "Scene 3" }));
  press("Tag selected");
  expect(await asked(stash)).toEqual(["2", "3"]);
});

test("what cannot begin is said", async () => {
  const stash = new FakeStash({
    tag_scene: () => {
      throw new Error("The disk is full");
    },
  });
  show(<List pages={[["1"]]} />);
  press("Scene 1");
  press("Tag selected");
  await waitFor(() => expect(stash.toasts).toEqual(["error: SenseError: The disk is full"]));
});

test("the end is said while the list is shown", async () => {
  const stash = new FakeStash({
    tag_scene: () => ({ job_id: "j1" }),
    job: () => job({ status: "done" }),
  });
  show(<List pages={[["1"]]} />);
  press("Scene 1");
  press("Tag selected");
  await waitFor(() =>
    expect(stash.toasts).toEqual([
      "Tagging 1 scene. See the dashboard",
      "Tagged 1 scene. See the dashboard",
    ]),
  );
});

test("of what is tagged one after the other each end is said", async () => {
  let jobs = 0;
  const stash = new FakeStash({
    tag_scene: () => {
      jobs += 1;
      return { job_id: `j${jobs}` };
    },
    job: ({ job_id }) => job({ id: job_id, status: jobs === 2 ? "done" : "running" }),
  });
  show(<List pages={[["1", "2", "3"]]} />);
  press("Scene 1");
  press("Tag selected");
  await waitFor(() => expect(stash.toasts).toHaveLength(1));
  press("Scene 2");
  press("Tag selected");
  await waitFor(() => expect(stash.toasts).toHaveLength(4));
  expect(stash.toasts.slice(2).sort()).toEqual([
    "Tagged 1 scene. See the dashboard",
    "Tagged 2 scenes. See the dashboard",
  ]);
});

test("a list that is left before the answer came is not drawn again", async () => {
  const complained = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const stash = begun();
  const { unmount } = show(<List pages={[["1"]]} />);
  press("Scene 1");
  press("Tag selected");
  unmount();
  await waitFor(() => expect(stash.toasts).toEqual(["Tagging 1 scene. See the dashboard"]));
  expect(complained).not.toHaveBeenCalled();
  complained.mockRestore();
});

test("a job that fails is said with its reason and what helps", async () => {
  const error = { message: "The drive is away", remedy: "connect it" };
  const stash = new FakeStash({
    tag_scene: () => ({ job_id: "j1" }),
    job: () => job({ status: "failed", error }),
  });
  show(<List pages={[["1"]]} />);
  press("Scene 1");
  press("Tag selected");
  await waitFor(() =>
    expect(stash.toasts[1]).toBe(
      "error: Error: Tagging the selected scenes failed: The drive is away (connect it)",
    ),
  );
});

test("a card that cannot be selected is left as Stash draws it", () => {
  const drawn = <b>drawn</b>;
  expect(noteCard({ scene: { id: "1" } }, drawn)).toBe(drawn);
});
