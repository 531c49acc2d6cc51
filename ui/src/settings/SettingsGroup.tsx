/** Settings under one heading, which folds. */
import { faChevronDown, faChevronRight } from "@fortawesome/free-solid-svg-icons";
import { FontAwesomeIcon } from "@fortawesome/react-fontawesome";
import React from "react";
import type { Group } from "./form";
import type { Reading } from "./stored";

interface Props {
  group: Group;
  reading: Reading;
  isOpen: boolean;
  /** Of its heading. */
  level: 2 | 4;
  toggle(): void;
  children?: React.ReactNode;
}

export function SettingsGroup({ group, reading, isOpen, level, toggle, children }: Props) {
  const states = group.rows.map((row) => reading.states[row.key]);
  const changed = states.filter((state) => state?.isChanged && !state.unusable).length;
  const wrong =
    states.filter((state) => state?.unusable).length +
    (group.key === "tags" && reading.tags ? 1 : 0);
  const Heading = level === 2 ? "h2" : "h4";
  const body = `sense-settings-${group.key}`;
  return (
    <section className="sense-settings-group">
      <Heading className="sense-settings-heading">
        <button
          type="button"
          className="btn minimal"
          aria-expanded={isOpen}
          aria-controls={isOpen ? body : undefined}
          onClick={toggle}
        >
          <FontAwesomeIcon icon={isOpen ? faChevronDown : faChevronRight} fixedWidth /> {group.name}
          {changed > 0 && (
            <span className="badge badge-secondary sense-settings-count">{changed} changed</span>
          )}
          {wrong > 0 && (
            <span className="badge badge-warning sense-settings-count">{wrong} cannot be used</span>
          )}
        </button>
      </Heading>
      {isOpen && (
        <div id={body}>
          <p className="sub-heading sense-settings-says">{group.says}</p>
          {children}
        </div>
      )}
    </section>
  );
}
