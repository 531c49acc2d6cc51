/** One scene: what is known of it beside its video. */
import { useMutation, useQuery } from "@apollo/client";
import { faChevronLeft, faChevronRight } from "@fortawesome/free-solid-svg-icons";
import React, { useState } from "react";
import { Button, Form, Nav, Spinner, Tab } from "react-bootstrap";
import { useLocation, useParams } from "react-router-dom";
import { FIND_SCENE, type Scene, UPDATE_SCENE } from "./documents";
import { Icon } from "./Icon";
import { useKeys } from "./keys";
import { ScenePlayer, seek } from "./Player";
import { component, container } from "./patch";
import { TagLink } from "./TagLink";
import { useToast } from "./Toasts";
import { clock, resolution, titleOf } from "./texts";

interface Props {
  scene: Scene;
  setTimestamp(seconds: number): void;
  collapsed: boolean;
  setCollapsed(collapsed: boolean): void;
}

const Tabs = container<Props>("ScenePage.Tabs");
const TabContent = container<Props>("ScenePage.TabContent");

const DATE = new Intl.DateTimeFormat("en-US", { dateStyle: "long", timeStyle: "short" });

function Details({ scene }: { scene: Scene }) {
  return (
    <div className="scene-details">
      <h6>Created At: {DATE.format(new Date(scene.created_at))}</h6>
      <h6>Updated At: {DATE.format(new Date(scene.updated_at))}</h6>
      {scene.studio && <h6>Studio: {scene.studio.name}</h6>}
      {scene.details && <p className="pre">{scene.details}</p>}
      {scene.tags.length > 0 && (
        <>
          <h6>{scene.tags.length === 1 ? "Tag" : "Tags"}</h6>
          {scene.tags.map((tag) => (
            <TagLink key={tag.id} tag={tag} />
          ))}
        </>
      )}
      {scene.performers.length > 0 && (
        <>
          <h6>Performers</h6>
          {scene.performers.map((performer) => (
            <p key={performer.id}>{performer.name}</p>
          ))}
        </>
      )}
    </div>
  );
}

function Markers({ scene, setTimestamp }: Pick<Props, "scene" | "setTimestamp">) {
  return (
    <div className="scene-markers-panel">
      {scene.scene_markers.map((marker) => (
        <div key={marker.id} className="primary-card card p-2">
          <Button variant="link" className="p-0" onClick={() => setTimestamp(marker.seconds)}>
            {marker.title || marker.primary_tag.name}
          </Button>
          <div>
            {clock(marker.seconds)}
            {marker.end_seconds !== null && ` - ${clock(marker.end_seconds)}`}
          </div>
        </div>
      ))}
    </div>
  );
}

function FileInfo({ scene }: { scene: Scene }) {
  const file = scene.files[0];
  if (file === undefined) return null;
  const rows = {
    Path: file.path,
    "File Size": `${file.size} bytes`,
    Duration: clock(file.duration),
    Dimensions: `${file.width} x ${file.height}`,
    "Video Codec": file.video_codec,
  };
  return (
    <dl className="container scene-file-info details-list">
      {Object.entries(rows).map(([name, value]) => (
        <React.Fragment key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </React.Fragment>
      ))}
    </dl>
  );
}

function Edit({ scene }: { scene: Scene }) {
  const toast = useToast();
  const [title, setTitle] = useState(scene.title ?? "");
  const [update] = useMutation(UPDATE_SCENE);
  const save = async (event: React.FormEvent) => {
    event.preventDefault();
    try {
      await update({ variables: { input: { id: scene.id, title } } });
      toast.success("Updated scene");
    } catch (error) {
      toast.error(error);
    }
  };
  return (
    <Form onSubmit={save} id="scene-edit-details">
      <Form.Group controlId="title">
        <Form.Label>Title</Form.Label>
        <Form.Control
          className="text-input"
          value={title}
          onChange={(event) => setTitle(event.currentTarget.value)}
        />
      </Form.Group>
      <Button type="submit" className="edit-button">
        Save
      </Button>
    </Form>
  );
}

const TABS = [
  { key: "scene-details-panel", name: "Details", shortcut: "a" },
  { key: "scene-markers-panel", name: "Markers", shortcut: "k" },
  { key: "scene-file-info-panel", name: "File Info", shortcut: "i" },
  { key: "scene-edit-panel", name: "Edit", shortcut: "e" },
] as const;

const Page = component<Props>("ScenePage", (props) => {
  const { scene, collapsed, setCollapsed } = props;
  const [tab, setTab] = useState<string>(TABS[0].key);
  useKeys({
    ...Object.fromEntries(TABS.map(({ key, shortcut }) => [shortcut, () => setTab(key)])),
    ",": () => setCollapsed(!collapsed),
  });
  const file = scene.files[0];
  return (
    <>
      <div className={`scene-tabs order-xl-first order-last ${collapsed ? "collapsed" : ""}`}>
        <div>
          <div className="scene-header-container">
            <h3 className={`scene-header ${scene.studio ? "" : "no-studio"}`}>{titleOf(scene)}</h3>
          </div>
          <div className="scene-subheader">
            <span className="date">{scene.date}</span>
            {file && (
              <span>
                {file.frame_rate} fps |{" "}
                <span className="resolution">{resolution(file.width, file.height)}</span>
              </span>
            )}
          </div>
        </div>
        <Tab.Container activeKey={tab} onSelect={(key) => key && setTab(key)}>
          <div>
            <Nav variant="tabs" className="mr-auto">
              <Tabs {...props}>
                {TABS.map(({ key, name }) => (
                  <Nav.Item key={key}>
                    <Nav.Link eventKey={key}>{name}</Nav.Link>
                  </Nav.Item>
                ))}
              </Tabs>
            </Nav>
          </div>
          <Tab.Content>
            <TabContent {...props}>
              <Tab.Pane eventKey="scene-details-panel">
                <Details scene={scene} />
              </Tab.Pane>
              <Tab.Pane eventKey="scene-markers-panel">
                <Markers {...props} />
              </Tab.Pane>
              <Tab.Pane eventKey="scene-file-info-panel" className="file-info-panel">
                <FileInfo scene={scene} />
              </Tab.Pane>
              <Tab.Pane eventKey="scene-edit-panel" mountOnEnter>
                <Edit scene={scene} />
              </Tab.Pane>
            </TabContent>
          </Tab.Content>
        </Tab.Container>
      </div>
      <div className="scene-divider d-none d-xl-block">
        <Button title="Collapse" onClick={() => setCollapsed(!collapsed)}>
          <Icon className="fa-fw" icon={collapsed ? faChevronRight : faChevronLeft} />
        </Button>
      </div>
    </>
  );
});

export function ScenePage() {
  const { id } = useParams<{ id: string }>();
  const { search } = useLocation();
  const [collapsed, setCollapsed] = useState(false);
  const { data, loading, error } = useQuery(FIND_SCENE, { variables: { id } });
  const scene = data?.findScene;
  if (!scene) {
    if (loading) return <Spinner animation="border" className="LoadingIndicator" />;
    return <h2>{error?.message ?? `No scene found with id ${id}.`}</h2>;
  }
  const startAt = Number(new URLSearchParams(search).get("t")) || 0;
  return (
    <div className="row">
      <Page scene={scene} setTimestamp={seek} collapsed={collapsed} setCollapsed={setCollapsed} />
      <div className={`scene-player-container ${collapsed ? "expanded" : ""}`}>
        <ScenePlayer key={scene.id} scene={scene} startAt={startAt} />
      </div>
    </div>
  );
}
