/** Puts Stash Sense into Stash's own pages. */
import React from "react";
import { Nav, Tab } from "react-bootstrap";
import { noteCard, withTagSelected } from "./list/TagSelected";
import { SenseLink } from "./pages/SenseLink";
import { ROUTE, SensePages } from "./pages/SensePages";
import { Boundary } from "./parts/Boundary";
import { type PageScene, SceneTab } from "./scene/SceneTab";
import { SettingsForm } from "./settings/SettingsForm";
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
            <SceneTab key={props.scene.id} scene={props.scene} seek={props.setTimestamp} />
          </Boundary>
        </Tab.Pane>
      </>
    ),
  },
  ...rest,
]);

patch.after<{ scene: { id: string }; selected?: boolean }>("SceneCard", (props, ...rest) =>
  noteCard(props, rest[rest.length - 1] as React.ReactNode),
);

patch.before<{ operations: unknown[] }>("SceneListOperations", (props, ...rest) => [
  withTagSelected(props),
  ...rest,
]);

patch.instead<{ pluginID: string }>("PluginSettings", (props, ...rest) => {
  // Another plugin may have dropped what stands before the next one to call.
  const Next = rest[rest.length - 1] as (props: unknown) => React.ReactElement | null;
  if (props.pluginID !== PLUGIN_ID) return Next(props);
  return (
    <Boundary what="its settings">
      <SettingsForm />
    </Boundary>
  );
});

patch.before<Children>("MainNavBar.MenuItems", (props, ...rest) => [
  {
    ...props,
    children: (
      <>
        {props.children}
        <Boundary what="its link">
          <SenseLink />
        </Boundary>
      </>
    ),
  },
  ...rest,
]);

register.route(ROUTE, SensePages as React.ComponentType<never>);
