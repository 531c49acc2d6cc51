/** A page of our own that gives a plugin what Stash's page gives it, for tests and the demo. */
import { ApolloProvider } from "@apollo/client";
import React, { useEffect, useLayoutEffect } from "react";
import ReactDOM from "react-dom";
import { IntlProvider } from "react-intl";
import { BrowserRouter, Redirect, Route, Switch, useLocation } from "react-router-dom";
import { Blank } from "./Blank";
import { client } from "./client";
import { events } from "./events";
import { MainNavbar } from "./MainNavbar";
import "./plugin_api";
import light from "./light.css?inline";
import { PluginRoutes, PluginsLoader } from "./plugins";
import { ScenePage } from "./ScenePage";
import { Scenes } from "./Scenes";
import { SettingsPage } from "./SettingsPage";
import { Toasts } from "./Toasts";
import "./page.scss";

/** `?theme=light` as a user's own style sheet would be: over Stash's dark one. */
function wearTheme(): void {
  const asked = new URLSearchParams(window.location.search).get("theme");
  if (asked !== null) sessionStorage.setItem("theme", asked);
  if (sessionStorage.getItem("theme") !== "light") return;
  const style = document.createElement("style");
  style.textContent = light;
  document.body.append(style);
}

function Pages() {
  const location = useLocation();
  useLayoutEffect(() => {
    // As late as Stash does: a plugin's own title may have been set before.
    const frame = requestAnimationFrame(() => {
      document.title = "Stash";
    });
    return () => cancelAnimationFrame(frame);
  }, []);
  useEffect(() => events.dispatch("location", { location }), [location]);
  return (
    <>
      <MainNavbar />
      <div className="main container-fluid">
        <Blank>
          <Switch>
            <Redirect exact from="/" to="/scenes" />
            <Route exact path="/scenes" component={Scenes} />
            <Route path="/scenes/:id(\d+)" component={ScenePage} />
            <Route path="/settings" component={SettingsPage} />
            <PluginRoutes />
          </Switch>
        </Blank>
      </div>
    </>
  );
}

wearTheme();
ReactDOM.render(
  <Blank>
    <BrowserRouter basename={new URL(document.baseURI).pathname}>
      <ApolloProvider client={client}>
        <IntlProvider locale="en-GB" defaultLocale="en">
          <Toasts>
            <PluginsLoader>
              <Pages />
            </PluginsLoader>
          </Toasts>
        </IntlProvider>
      </ApolloProvider>
    </BrowserRouter>
  </Blank>,
  document.getElementById("root"),
);
