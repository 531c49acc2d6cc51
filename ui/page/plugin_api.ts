/** `window.PluginApi`, with the parts and the versions that Stash gives its plugins. */
import * as Apollo from "@apollo/client";
import * as FontAwesomeSolid from "@fortawesome/free-solid-svg-icons";
import * as ReactFontAwesome from "@fortawesome/react-fontawesome";
import Mousetrap from "mousetrap";
import React from "react";
import * as Bootstrap from "react-bootstrap";
import ReactDOM from "react-dom";
import * as ReactIntl from "react-intl";
import * as ReactRouterDOM from "react-router-dom";
import { client } from "./client";
import { events } from "./events";
import { getPlayer } from "./Player";
import { components, patch, registerComponent } from "./patch";
import { useSettings } from "./settings";
import { useSpriteInfo } from "./sprites";
import { useToast } from "./Toasts";

function registerRoute(path: string, component: React.ComponentType): void {
  patch.before("PluginRoutes", (props: { children?: React.ReactNode }) => [
    {
      children: React.createElement(
        React.Fragment,
        null,
        props.children,
        React.createElement(ReactRouterDOM.Route, { path, component }),
      ),
    },
  ]);
}

/** Forget what was read by these queries, so that it is read anew. */
function evictQueries(cache: Apollo.ApolloCache<unknown>, queries: Apollo.DocumentNode[]): void {
  for (const query of queries) {
    for (const definition of query.definitions) {
      if (definition.kind !== "OperationDefinition") continue;
      for (const field of definition.selectionSet.selections) {
        if (field.kind === "Field") {
          cache.evict({ id: "ROOT_QUERY", fieldName: field.name.value });
        }
      }
    }
  }
  cache.gc();
}

export const PluginApi = {
  React,
  ReactDOM,
  libraries: {
    ReactRouterDOM,
    Bootstrap,
    Apollo,
    Intl: ReactIntl,
    FontAwesomeSolid,
    ReactFontAwesome,
    Mousetrap,
  },
  register: { route: registerRoute, component: registerComponent },
  components,
  utils: {
    InteractiveUtils: { getPlayer },
    StashService: { getClient: () => client, evictQueries },
  },
  hooks: { useSpriteInfo, useToast, useSettings },
  patch,
  Event: events,
};

Object.assign(window, { PluginApi });
