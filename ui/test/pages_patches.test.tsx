/** What of ours stands in Stash's pages, drawn as Stash draws it, also where ours breaks. */
import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import React from "react";
import { Nav, Tab } from "react-bootstrap";
import { MemoryRouter } from "react-router-dom";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FakeStash } from "./fake_stash";

type Loose = (...args: unknown[]) => unknown;

let stash: FakeStash;

beforeEach(() => {
  vi.resetModules();
  stash = new FakeStash();
});

afterEach(() => {
  for (const path of PARTS) vi.doUnmock(path);
});

const SCENE = { id: "7", title: "<img src=x onerror=alert(1)>", files: [], tags: [] };

const PARTS = [
  "../src/scene/SceneTab",
  "../src/settings/SettingsForm",
  "../src/pages/SenseLink",
  "../src/pages/SensePages",
  "../src/list/TagSelected",
] as const;

/** Load our script into the Stash of this test. */
async function load() {
  await import("../src/main");
}

/** Let one of our parts throw as soon as anything of it is used. */
function breaks(path: (typeof PARTS)[number], ...names: string[]) {
  const broken = () => {
    throw new Error("broken on purpose");
  };
  vi.doMock(path, async (original) => ({
    ...(await original<object>()),
    ...Object.fromEntries(names.map((name) => [name, broken])),
  }));
  vi.spyOn(console, "error").mockImplementation(() => undefined);
}

/** What another plugin may do to the arguments: hand on its own alone, so that the rest is gone. */
const dropsTheRest: Loose = (props) => [props];

/** Call all `instead` as a chain: each has the next one to call behind whatever it is given. */
function chained([first, ...others]: Loose[], own: Loose): Loose {
  if (first === undefined) return own;
  return (...args) => first(...args, chained(others, own));
}

/**
 * Return a component of Stash's with what plugins put around it: all `before`, the `instead`
 * as a chain, all `after` with what was drawn behind them.
 */
function patched<P>(
  name: string,
  own: (props: P) => React.ReactElement | null,
  others: Loose[] = [],
): React.FC<P> {
  return (...called: unknown[]) => {
    let args = called;
    for (const before of [...others, ...(stash.patches[`before ${name}`] ?? [])]) {
      args = before(...args) as unknown[];
    }
    const insteads = stash.patches[`instead ${name}`] ?? [];
    let drawn = chained(insteads, own as Loose)(...args) as React.ReactElement;
    for (const after of stash.patches[`after ${name}`] ?? []) {
      drawn = after(...args, drawn) as React.ReactElement;
    }
    return drawn;
  };
}

const inStash = (what: React.ReactElement) => render(<MemoryRouter>{what}</MemoryRouter>);
const Children = ({ children }: React.PropsWithChildren<object>) => <div>{children}</div>;

function ScenePage({ others }: { others?: Loose[] }) {
  const Tabs = patched("ScenePage.Tabs", Children, others);
  const Content = patched("ScenePage.TabContent", Children, others);
  const props = { scene: SCENE, setTimestamp: () => undefined };
  return (
    <Tab.Container defaultActiveKey="details">
      <Nav>
        <Tabs {...props}>
          <Nav.Link eventKey="details">Details</Nav.Link>
        </Tabs>
      </Nav>
      <Tab.Content>
        <Content {...props}>
          <Tab.Pane eventKey="details">What Stash knows</Tab.Pane>
        </Content>
      </Tab.Content>
    </Tab.Container>
  );
}

const OTHERS: [string, Loose[]][] = [
  ["alone", []],
  ["beside a plugin that drops the rest of the arguments", [dropsTheRest]],
];

test.each(OTHERS)("a scene's page has our tab, %s", async (_, others) => {
  await load();
  inStash(<ScenePage others={others} />);
  expect(screen.getByText("What Stash knows")).toBeInTheDocument();
  expect(screen.getByRole("tab", { name: "Sense" })).toBeInTheDocument();
});

test.each(OTHERS)("a scene's page stands where our tab breaks, %s", async (_, others) => {
  breaks("../src/scene/SceneTab", "SceneTab");
  await load();
  inStash(<ScenePage others={others} />);
  await userEvent.click(screen.getByRole("tab", { name: "Sense" }));
  expect(await screen.findByRole("alert")).toHaveTextContent(
    "Stash Sense cannot show this scene's suggestions (broken on purpose)",
  );
  expect(screen.getByText("What Stash knows")).toBeInTheDocument();
});

const Own = ({ pluginID }: { pluginID: string }) => <p>Stash's own form of {pluginID}</p>;

test.each(OTHERS)("our settings are ours and those of others stay, %s", async (_, others) => {
  await load();
  const Settings = patched("PluginSettings", Own, others);
  inStash(
    <>
      <Settings pluginID="other" />
      <Settings pluginID="stash-sense" />
    </>,
  );
  expect(screen.getByText("Stash's own form of other")).toBeInTheDocument();
  expect(await screen.findByRole("button", { name: "What is written" })).toBeInTheDocument();
  expect(screen.queryByText("Stash's own form of stash-sense")).toBeNull();
});

const theirs: Loose = (props, _, next) => (
  <div>
    <p>Another plugin was here</p>
    {(next as Loose)(props, _) as React.ReactElement}
  </div>
);

test.each([
  ["before", "alone", []],
  ["after", "alone", []],
  ["after", "beside a plugin that drops the rest of the arguments", [dropsTheRest]],
] as const)(
  "another plugin's own settings form, loaded %s ours, stays, %s",
  async (order, _, others) => {
    if (order === "before") window.PluginApi.patch.instead("PluginSettings", theirs as never);
    await load();
    if (order === "after") window.PluginApi.patch.instead("PluginSettings", theirs as never);
    const Settings = patched("PluginSettings", Own, [...others]);
    inStash(<Settings pluginID="other" />);
    expect(screen.getByText("Another plugin was here")).toBeInTheDocument();
    expect(screen.getByText("Stash's own form of other")).toBeInTheDocument();
  },
);

test.each(OTHERS)("where our form breaks Stash's own stands there, %s", async (_, others) => {
  breaks("../src/settings/SettingsForm", "StashSettings");
  await load();
  const Settings = patched("PluginSettings", Own, others);
  inStash(<Settings pluginID="stash-sense" />);
  expect(screen.getByRole("alert")).toHaveTextContent("broken on purpose");
  expect(screen.getByText("Stash's own form of stash-sense")).toBeInTheDocument();
});

test.each(OTHERS)("the menu has our link, and stands where that breaks, %s", async (_, others) => {
  await load();
  const Menu = patched("MainNavBar.MenuItems", Children, others);
  inStash(<Menu>Scenes</Menu>);
  expect(screen.getByRole("link", { name: "Sense" })).toHaveAttribute(
    "href",
    "/plugins/stash-sense",
  );
  vi.resetModules();
  stash = new FakeStash();
  breaks("../src/pages/SenseLink", "SenseLink");
  await load();
  const Broken = patched("MainNavBar.MenuItems", Children, others);
  inStash(<Broken>Images</Broken>);
  expect(screen.getByText("Images")).toBeInTheDocument();
});

test.each(OTHERS)("cards and the list's menu stand where ours breaks, %s", async (_, others) => {
  breaks("../src/list/TagSelected", "noteCard", "withTagSelected");
  await load();
  const Card = patched(
    "SceneCard",
    ({ scene }: { scene: { id: string } }) => <p>Card {scene.id}</p>,
    others,
  );
  const Menu = patched(
    "SceneListOperations",
    ({ operations }: { operations: { text: string }[] }) => (
      <p>{operations.map((each) => each.text).join(", ")}</p>
    ),
    others,
  );
  inStash(
    <>
      <Card scene={{ id: "7" }} />
      <Menu operations={[{ text: "Play random" }]} />
    </>,
  );
  expect(screen.getByText("Card 7")).toBeInTheDocument();
  expect(screen.getByText(/Play random/)).toBeInTheDocument();
});

test("our pages' own frame may break, and Stash stands", async () => {
  breaks("../src/pages/SensePages", "SensePages");
  await load();
  const Route = stash.routes["/plugins/stash-sense"] as React.ComponentType;
  inStash(
    <>
      <p>Stash</p>
      <Route />
    </>,
  );
  expect(screen.getByRole("alert")).toHaveTextContent("Stash Sense cannot show its pages");
  expect(screen.getByText("Stash")).toBeInTheDocument();
});
