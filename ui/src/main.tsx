/** Puts Stash Sense into Stash's own pages. */
import React from "react";
import { Nav, Tab } from "react-bootstrap";
import { noteCard, withTagging, withTagSelected } from "./list/TagSelected";
import { SenseLink } from "./pages/SenseLink";
import { ROUTE, SensePages } from "./pages/SensePages";
import { Boundary } from "./parts/Boundary";
import { type PageScene, SceneTab } from "./scene/SceneTab";
import { StashSettings } from "./settings/SettingsForm";
import { PLUGIN_ID, stash } from "./stash/plugin_api";
import "./sense.css";

const TAB = "stash-sense-panel";

interface Children {
  children?: React.ReactNode;
}

interface ScenePageProps extends Children {
  scene: PageScene;
  setTimestamp(seconds: number): void;
}

const { patch, register } = stash();

/** Keep what Stash has where our part of it fails: these run as Stash draws, outside a boundary. */
function kept<T>(make: () => T, otherwise: T): T {
  try {
    return make();
  } catch (error) {
    console.error("Stash Sense:", error);
    return otherwise;
  }
}

function ScenePane({ scene, setTimestamp }: ScenePageProps) {
  return <SceneTab key={scene.id} scene={scene} seek={setTimestamp} />;
}

function Pages() {
  return (
    <Boundary what="its pages">
      <SensePages />
    </Boundary>
  );
}

patch.before<ScenePageProps>("ScenePage.Tabs", (props, ...rest) => [
  {
    ...props,
    children: (
      <>
        {props.children}
        <Nav.Item>
          <Nav.Link eventKey={TAB}>Sense</Nav.Link>
        </Nav.Item>
      </>
    ),
  },
  ...rest,
]);

patch.before<ScenePageProps>("ScenePage.TabContent", (props, ...rest) => [
  {
    ...props,
    children: (
      <>
        {props.children}
        <Tab.Pane eventKey={TAB} className="sense-scene-pane">
          <Boundary what="this scene's suggestions">
            <ScenePane scene={props.scene} setTimestamp={props.setTimestamp} />
          </Boundary>
        </Tab.Pane>
      </>
    ),
  },
  ...rest,
]);

patch.after<{ scene: { id: string }; selected?: boolean }>("SceneCard", (props, ...rest) => {
  const drawn = rest[rest.length - 1] as React.ReactNode;
  return kept(() => noteCard(props, drawn), drawn);
});

patch.before<{ operations: unknown[] }>("SceneListOperations", (props, ...rest) => [
  kept(() => withTagSelected(props), props),
  ...rest,
]);

patch.after<{ operations: unknown[] }>("SceneListOperations", (props, ...rest) => {
  const drawn = rest[rest.length - 1] as React.ReactNode;
  return kept(() => withTagging(props, drawn), drawn);
});

patch.instead<{ pluginID: string }>("PluginSettings", (props, ...rest) => {
  // Another plugin may have dropped what stands before the next one to call.
  const Next = rest[rest.length - 1] as React.FunctionComponent<{ pluginID: string }>;
  // Stash puts what comes after Next behind what Next is given: where one argument lacks, the
  // other plugin's `(props, _, next)` finds nothing to call. Drawn as <Next> it would be
  // another component with each drawing, and forget what was typed.
  if (props.pluginID !== PLUGIN_ID) return Next(props, rest.length > 1 ? rest[0] : {});
  return (
    <Boundary what="its own form, so here is Stash's" otherwise={<Next {...props} />}>
      <StashSettings />
    </Boundary>
  );
});

patch.before<Children>("MainNavBar.MenuItems", (props, ...rest) => [
  {
    ...props,
    children: (
      <>
        {props.children}
        <Boundary what="its link" isQuiet>
          <SenseLink />
        </Boundary>
      </>
    ),
  },
  ...rest,
]);

register.route(ROUTE, Pages as React.ComponentType<never>);
