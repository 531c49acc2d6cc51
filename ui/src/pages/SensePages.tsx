/** Our own pages, below one address: what waits for the user, how it stands, and the settings. */
import React, { useEffect, useRef } from "react";
import { Nav } from "react-bootstrap";
import { NavLink, Redirect, Route, Switch, useLocation } from "react-router-dom";
import { DashboardPage } from "../dashboard/DashboardPage";
import { Boundary } from "../parts/Boundary";
import { Outdated } from "../parts/Outdated";
import { ReviewPage } from "../review/ReviewPage";
import { SettingsForm } from "../settings/SettingsForm";
import { ROUTE } from "./route";
import "./pages.css";

export { ROUTE };

const PAGES = [
  { path: ROUTE, name: "Review", what: "what waits for you", Page: ReviewPage },
  { path: `${ROUTE}/dashboard`, name: "Dashboard", what: "the dashboard", Page: DashboardPage },
  { path: `${ROUTE}/settings`, name: "Settings", what: "the settings", Page: SettingsForm },
] as const;

export function SensePages() {
  const content = useRef<HTMLElement>(null);
  useTitle();
  return (
    <div className="sense-pages container-fluid">
      {/* A button: an address that begins with # would lead to Stash's first page. */}
      <button
        type="button"
        className="btn btn-secondary sense-skip"
        onClick={() => content.current?.focus()}
      >
        Skip to the content
      </button>
      <Nav as="nav" variant="tabs" className="sense-pages-nav" aria-label="Stash Sense">
        {PAGES.map((page) => (
          <Nav.Item key={page.path}>
            <NavLink exact to={page.path} className="nav-link">
              {page.name}
            </NavLink>
          </Nav.Item>
        ))}
      </Nav>
      <Outdated />
      <main ref={content} tabIndex={-1} className="sense-pages-content">
        <Switch>
          {PAGES.map(({ path, what, Page }) => (
            <Route exact key={path} path={path}>
              <Boundary what={what}>
                <Page />
              </Boundary>
            </Route>
          ))}
          <Redirect to={ROUTE} />
        </Switch>
      </main>
    </div>
  );
}

/** Name the document after the page that is shown, and give its own name back afterwards. */
function useTitle(): void {
  const { pathname } = useLocation();
  const name = PAGES.find((page) => page.path === pathname.replace(/\/$/, ""))?.name ?? "Review";
  useEffect(() => {
    let theirs = "";
    let ours = "";
    const put = () => {
      if (document.title === ours) return;
      theirs = document.title;
      ours = `${name} | Stash Sense | ${theirs.split(" | ").pop() || "Stash"}`;
      document.title = ours;
    };
    put();
    // Stash names a page that was just loaded a frame after it has drawn it.
    const frame = requestAnimationFrame(put);
    return () => {
      cancelAnimationFrame(frame);
      document.title = theirs;
    };
  }, [name]);
}
