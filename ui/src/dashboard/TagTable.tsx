/** The figures of each tag that was judged. */
import React from "react";
import type { Shapes } from "../stash/calls";
import { counted, number, percent } from "./words";

interface Props {
  tags: readonly Shapes["TagJudged"][];
  /** Tags that the reply had no room for. */
  more: number;
}

export function TagTable({ tags, more }: Props) {
  return (
    <details className="sense-dash-fold">
      <summary>Figures of {counted(tags.length, "tag")}</summary>
      {/* On a phone it is wider than the page: the keys that scroll it need a place for the focus. */}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and nothing in it takes keys */}
      <section className="sense-dash-scroll" aria-label="Figures of each tag" tabIndex={0}>
        <table className="table table-sm sense-dash-table">
          <thead>
            <tr>
              <th scope="col">Tag</th>
              <th scope="col">Scenes</th>
              <th scope="col">Scenes with it</th>
              <th scope="col">Precision</th>
              <th scope="col">Recall</th>
              <th scope="col">Precision, asked too</th>
              <th scope="col">Recall, asked too</th>
            </tr>
          </thead>
          <tbody>
            {tags.map((tag) => (
              <tr key={tag.name}>
                <th scope="row" className="sense-dash-break">
                  {tag.name}
                  {!tag.enough && <span className="text-muted"> (too few to be sure)</span>}
                </th>
                <td>{number(tag.scenes)}</td>
                <td>{number(tag.positives)}</td>
                <td>{share(tag.written.precision)}</td>
                <td>{share(tag.written.recall)}</td>
                <td>{share(tag.shown.precision)}</td>
                <td>{share(tag.shown.recall)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      {more > 0 && (
        <p className="text-muted">
          {counted(more, "more tag")} with fewer scenes {more === 1 ? "is" : "are"} not shown.
        </p>
      )}
    </details>
  );
}

function share(value: number | null): string {
  return value === null ? "none" : percent(value);
}
