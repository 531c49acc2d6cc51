/** The settings: the plugins with theirs, and the tasks. */
import { useMutation, useQuery } from "@apollo/client";
import React, { useState } from "react";
import { Button, Card, Form, Modal, Nav, Tab } from "react-bootstrap";
import { Link, useLocation } from "react-router-dom";
import { PLUGINS, type PluginSetting, RUN_TASK } from "./documents";
import { Jobs } from "./Jobs";
import { component } from "./patch";
import { SettingsProvider, useSettings } from "./settings";
import { useToast } from "./Toasts";

interface SettingProps {
  id?: string;
  heading: string;
  subHeading?: string | null;
  value?: string;
  children?: React.ReactNode;
}

const Setting = component<SettingProps>("Setting", (props) => (
  <div className="setting" id={props.id}>
    <div>
      <h3>{props.heading}</h3>
      {props.value !== undefined && <div className="value">{props.value}</div>}
      {props.subHeading && <div className="sub-heading">{props.subHeading}</div>}
    </div>
    <div>{props.children}</div>
  </div>
));

interface GroupProps {
  heading: string;
  subHeading?: string | null;
  children?: React.ReactNode;
}

function SettingGroup({ heading, subHeading, children }: GroupProps) {
  return (
    <div className="setting-group">
      <Setting heading={heading} subHeading={subHeading ?? null} />
      <div className="collapsible-section">{children}</div>
    </div>
  );
}

function Section({ heading, children }: { heading: string; children?: React.ReactNode }) {
  return (
    <div className="setting-section">
      <h1>{heading}</h1>
      <Card>{children}</Card>
    </div>
  );
}

interface OneProps {
  id: string;
  setting: PluginSetting;
  value: unknown;
  change(value: unknown): void;
}

function One({ id, setting, value, change }: OneProps) {
  const heading = setting.display_name || setting.name;
  if (setting.type === "BOOLEAN") {
    return (
      <Setting heading={heading} subHeading={setting.description}>
        <Form.Switch
          id={id}
          aria-label={heading}
          checked={value === true}
          onChange={() => change(value !== true)}
        />
      </Setting>
    );
  }
  return <Typed id={id} setting={setting} value={value} change={change} />;
}

function Typed({ id, setting, value, change }: OneProps) {
  const isNumber = setting.type === "NUMBER";
  const shown = String(value ?? (isNumber ? 0 : ""));
  const [edited, setEdited] = useState<string>();
  const heading = setting.display_name || setting.name;
  const save = (event: React.FormEvent) => {
    event.preventDefault();
    // Whole numbers and text are all that these settings know.
    change(isNumber ? Number.parseInt(edited ?? "", 10) || 0 : edited);
    setEdited(undefined);
  };
  return (
    <Setting id={id} heading={heading} subHeading={setting.description} value={shown}>
      <Button onClick={() => setEdited(shown)}>Edit</Button>
      {edited !== undefined && (
        <Modal show id="setting-dialog" onHide={() => setEdited(undefined)}>
          <Form onSubmit={save}>
            <Modal.Header closeButton>{heading}</Modal.Header>
            <Modal.Body>
              <Form.Control
                className="text-input"
                aria-label={heading}
                type={isNumber ? "number" : "text"}
                value={edited}
                onChange={(event) => setEdited(event.currentTarget.value)}
              />
            </Modal.Body>
            <Modal.Footer>
              <Button variant="secondary" onClick={() => setEdited(undefined)}>
                Cancel
              </Button>
              <Button type="submit">Confirm</Button>
            </Modal.Footer>
          </Form>
        </Modal>
      )}
    </Setting>
  );
}

interface PluginSettingsProps {
  pluginID: string;
  settings: PluginSetting[];
}

const PluginSettings = component<PluginSettingsProps>(
  "PluginSettings",
  ({ pluginID, settings }) => {
    const { plugins, savePluginSettings } = useSettings();
    const values = plugins[pluginID] ?? {};
    return (
      <div className="plugin-settings">
        {settings.map((setting) => (
          <One
            key={setting.name}
            id={`plugin-${pluginID}-${setting.name}`}
            setting={setting}
            value={values[setting.name]}
            change={(value) => savePluginSettings(pluginID, { ...values, [setting.name]: value })}
          />
        ))}
      </div>
    );
  },
);

function PluginsPanel() {
  const { loading } = useSettings();
  const { data } = useQuery(PLUGINS);
  if (loading) return null;
  return (
    <Section heading="Plugins">
      {data?.plugins?.map((plugin) => (
        <SettingGroup
          key={plugin.id}
          heading={`${plugin.name} ${plugin.version ? `(${plugin.version})` : ""}`}
          subHeading={plugin.description}
        >
          <PluginSettings pluginID={plugin.id} settings={plugin.settings ?? []} />
        </SettingGroup>
      ))}
    </Section>
  );
}

function TasksPanel() {
  const { data } = useQuery(PLUGINS);
  const toast = useToast();
  const [run] = useMutation(RUN_TASK);
  const begin = async (plugin: string, task: string) => {
    try {
      await run({ variables: { plugin, task } });
      toast.success(`Added ${task} to job queue`);
    } catch (error) {
      toast.error(error);
    }
  };
  const plugins = data?.plugins?.filter((plugin) => plugin.enabled && plugin.tasks?.length);
  return (
    <>
      <div className="setting-section">
        <h1>Job Queue</h1>
        <Jobs />
      </div>
      <Section heading="Plugin Tasks">
        {plugins?.map((plugin) => (
          <SettingGroup key={plugin.id} heading={plugin.name}>
            {plugin.tasks?.map((task) => (
              <Setting key={task.name} heading={task.name} subHeading={task.description}>
                <Button
                  variant="secondary"
                  size="sm"
                  onClick={() => void begin(plugin.id, task.name)}
                >
                  {task.name}
                </Button>
              </Setting>
            ))}
          </SettingGroup>
        ))}
      </Section>
    </>
  );
}

const PANELS = [
  { key: "tasks", name: "Tasks", Panel: TasksPanel },
  { key: "plugins", name: "Plugins", Panel: PluginsPanel },
] as const;

export function SettingsPage() {
  const { search } = useLocation();
  const asked = new URLSearchParams(search).get("tab");
  const active = PANELS.some(({ key }) => key === asked) ? asked : "tasks";
  return (
    <SettingsProvider>
      <Tab.Container activeKey={active ?? "tasks"} id="configuration-tabs">
        <div className="row">
          <div id="settings-menu-container" className="col-md-2">
            <Nav variant="pills" className="flex-column">
              {PANELS.map(({ key, name }) => (
                <Nav.Item key={key}>
                  <Nav.Link as={Link} eventKey={key} to={`/settings?tab=${key}`}>
                    {name}
                  </Nav.Link>
                </Nav.Item>
              ))}
            </Nav>
          </div>
          <div id="settings-container" className="col-md-10 offset-md-2">
            <Tab.Content className="mx-auto">
              {PANELS.map(({ key, Panel }) => (
                <Tab.Pane key={key} eventKey={key} unmountOnExit>
                  <Panel />
                </Tab.Pane>
              ))}
            </Tab.Content>
          </div>
        </div>
      </Tab.Container>
    </SettingsProvider>
  );
}
