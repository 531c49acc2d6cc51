/** What runs here, what is missing, and what to do about it. */
import React, { useState } from "react";
import { Badge } from "react-bootstrap";
import { Deed } from "../parts/Deed";
import type { Shapes } from "../stash/calls";
import { useOperation } from "../stash/hooks";
import { Card } from "./Card";
import { capital, counted, sentence } from "./words";

type Fact = Shapes["FactRow"];

export function DoctorCard() {
  const [thorough, setThorough] = useState(false);
  // It looks at the machine, the store and Stash: asked for when the page is opened, and by hand.
  const asking = useOperation("doctor", thorough ? { thorough: true } : {});
  const checks = asking.loading && asking.told !== undefined;
  const check = () => (thorough ? asking.reload() : setThorough(true));
  return (
    <Card
      title="Doctor"
      name="doctor"
      asking={asking}
      wide
      lines={6}
      actions={
        <Deed
          size="sm"
          variant="secondary"
          busy={asking.loading}
          aria-busy={checks}
          title="Reads the whole store too, which takes longer"
          does={check}
        >
          {checks ? "Checking" : "Check thoroughly"}
        </Deed>
      }
    >
      {(told) => <Report told={told} />}
    </Card>
  );
}

function Report({ told }: { told: Shapes["DoctorTold"] }) {
  const problems = told.facts.filter((fact) => fact.level === "problem");
  const notes = told.facts.filter((fact) => fact.level === "note");
  const fine = told.facts.filter((fact) => fact.level === "ok");
  return (
    <>
      <p>
        {problems.length === 0 && notes.length === 0 ? (
          <strong>All is well.</strong>
        ) : (
          <strong>
            {problems.length > 0 ? counted(problems.length, "problem") : "No problem"}
            {notes.length > 0 ? `, ${counted(notes.length, "note")}` : ""}.
          </strong>
        )}{" "}
        <span className="text-muted">Stash Sense {told.version}</span>
      </p>
      {problems.length + notes.length > 0 && (
        <ul className="list-unstyled sense-dash-facts">
          {[...problems, ...notes].map((fact, place) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: two facts may say the same
            <FactItem key={place} fact={fact} />
          ))}
        </ul>
      )}
      {fine.length > 0 && (
        <details className="sense-dash-fold">
          <summary>{counted(fine.length, "thing")} in order</summary>
          <table className="table table-sm sense-dash-table">
            <thead className="sr-only">
              <tr>
                <th scope="col">What</th>
                <th scope="col">Found</th>
              </tr>
            </thead>
            <tbody>
              {fine.map((fact, place) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: two facts may say the same
                <tr key={place}>
                  <th scope="row">
                    {fact.what}
                    <span className="text-muted sense-dash-group">{fact.group}</span>
                  </th>
                  <td className="sense-dash-break">{fact.found}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </details>
      )}
    </>
  );
}

function FactItem({ fact }: { fact: Fact }) {
  const problem = fact.level === "problem";
  return (
    <li>
      <div className="sense-dash-fact-head">
        <Badge variant={problem ? "danger" : "warning"}>{problem ? "problem" : "note"}</Badge>
        <strong>{fact.what}</strong>
        <span className="text-muted">{fact.group}</span>
      </div>
      <p className="sense-dash-break">{sentence(fact.found)}</p>
      {fact.remedy && (
        <p className="sense-dash-break sense-dash-remedy">{sentence(capital(fact.remedy))}</p>
      )}
    </li>
  );
}
