/** Our own form of the settings: Stash's knows text, whole numbers and switches alone. */
import React, { useEffect, useMemo, useRef, useState } from "react";
import { Trouble } from "../parts/Trouble";
import { useOperation } from "../stash/hooks";
import { PLUGIN_ID, stash } from "../stash/plugin_api";
import { shown } from "./check";
import { FORM, type Group, type Stored } from "./form";
import { Running } from "./Running";
import { SettingRow } from "./SettingRow";
import { SettingsGroup } from "./SettingsGroup";
import { useSaving } from "./saving";
import { type Reading, read } from "./stored";
import "./settings.css";

interface Props {
  /** Whether all is folded at first, as among other plugins' settings. */
  isFolded?: boolean;
  /** Hears of all settings after each save. */
  saved?: (all: Stored) => void;
}

const PHONE_PX = 576;

/** The groups that speak of models: only these ask the worker. */
const OF_MODELS: readonly string[] = ["preset", "models"];

/** Inside Stash's own settings, which hold a copy of all plugins' and write all of it back. */
export function StashSettings() {
  const kept = stash().hooks.useSettings?.();
  return (
    <SettingsForm
      isFolded
      saved={kept && ((all) => kept.savePluginSettings(PLUGIN_ID, { ...all }))}
    />
  );
}

export function SettingsForm({ isFolded = false, saved }: Props) {
  const { stored, error, reload, save } = useSaving(saved);
  const [open, setOpen] = useState<readonly string[]>(() => (isFolded ? [] : openAtFirst()));
  const models = useOperation(
    "models",
    stored && open.some((key) => OF_MODELS.includes(key)) ? {} : undefined,
  );
  const known = useRef<Stored>();
  useEffect(() => {
    // Which models run follows from nearly all settings.
    if (known.current !== undefined && known.current !== stored) models.reload();
    known.current = stored;
  }, [stored, models.reload]);
  const reading = useMemo(() => read(stored ?? {}), [stored]);
  if (stored === undefined) {
    if (error) return <Trouble error={error} again={reload} />;
    return <p role="status">Reading the settings…</p>;
  }
  const toggle = (key: string) =>
    setOpen((all) => (all.includes(key) ? all.filter((each) => each !== key) : [...all, key]));
  const list = models.told?.models;
  return (
    <div className={isFolded ? "sense-settings" : "sense-settings setting-section"}>
      {!isFolded && <h1 className="sr-only">Stash Sense: Settings</h1>}
      {FORM.groups.map((group) => (
        <SettingsGroup
          key={group.key}
          group={group}
          reading={reading}
          isOpen={open.includes(group.key)}
          level={isFolded ? 4 : 2}
          toggle={() => toggle(group.key)}
        >
          <Wrong group={group} reading={reading} />
          <div className={isFolded ? undefined : "card"}>
            {group.rows.map((row) => (
              <SettingRow
                key={row.key}
                row={row}
                stored={stored}
                reading={reading}
                models={list}
                save={save}
              />
            ))}
          </div>
          {group.key === "preset" && (
            <Running told={models.told} error={models.error} again={models.reload} />
          )}
        </SettingsGroup>
      ))}
      <Ignored keys={reading.ignored} />
    </div>
  );
}

/** On a phone all groups would be a page of many screens. */
function openAtFirst(): string[] {
  const groups = FORM.groups.filter((group) => !group.advanced);
  return (window.innerWidth < PHONE_PX ? groups.slice(0, 1) : groups).map((group) => group.key);
}

function Wrong({ group, reading }: { group: Group; reading: Reading }) {
  if (group.key !== "tags" || reading.tags === undefined) return null;
  const defaults = group.rows.map((row) => row.default).join(", ");
  return (
    <p className="sense-setting-wrong" role="alert">
      {reading.tags}; {defaults} are used.
    </p>
  );
}

function Ignored({ keys }: { keys: readonly string[] }) {
  if (keys.length === 0) return null;
  return (
    <p className="sense-settings-note">
      Stash also keeps {keys.map(shown).join(", ")} for Stash Sense:{" "}
      {keys.length === 1 ? "it is of" : "they are of"} another version, ignored, and left as{" "}
      {keys.length === 1 ? "it is" : "they are"}.
    </p>
  );
}
