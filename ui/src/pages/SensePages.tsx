/** Our own pages, below one address: what waits for the user, how it stands, and the settings. */
import React from "react";
import { Nav } from "react-bootstrap";
import { NavLink, Redirect, Route, Switch } from "react-router-dom";
import { DashboardPage } from "../dashboard/DashboardPage";
import { Boundary } from "../parts/Boundary";
import { ReviewPage } from "../review/ReviewPage";
import { SettingsForm } from "../settings/SettingsForm";

export const ROUTE = "/plugins/stash-sense";

const PAGES = [
  { path: ROUTE, name: "Review", what: "what waits for you", Page: ReviewPage },
  { path: `${ROUTE}/dashboard`, name: "Dashboard", what: "the dashboard", Page: DashboardPage },
  { path: `${ROUTE}/settings`, name: "Settings", what: "the settings", Page: SettingsForm },
] as const;

export function SensePages() {
  return (
    <div className="sense-pages container-fluid">
      <Nav as="nav" variant="tabs" className="sense-pages-nav" aria-label="Stash Sense">
        {PAGES.map(({ path, name }) => (
          <Nav.Item key={path}>
            <NavLink exact to={path} className="nav-link">
              {name}
            </NavLink>
          </Nav.Item>
        ))}
      </Nav>
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
    </div>
  );
}
