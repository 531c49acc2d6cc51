/** The way to our pages, beside Stash's own. */
import { faWandMagicSparkles } from "@fortawesome/free-solid-svg-icons";
import { FontAwesomeIcon } from "@fortawesome/react-fontawesome";
import React from "react";
import { Nav } from "react-bootstrap";
import { NavLink } from "react-router-dom";
import { ROUTE } from "./route";

/** Drawn as Stash draws its own entries, so that themes and narrow windows treat it as one. */
export function SenseLink() {
  return (
    <Nav.Link as="div" eventKey={ROUTE} className="col-4 col-sm-3 col-md-2 col-lg-auto">
      <NavLink
        to={ROUTE}
        className="minimal p-4 p-xl-2 d-flex d-xl-inline-block flex-column justify-content-between align-items-center btn btn-primary"
      >
        <FontAwesomeIcon
          icon={faWandMagicSparkles}
          className="fa-icon nav-menu-icon d-block d-xl-inline mb-2 mb-xl-0 mr-xl-2"
        />
        <span>Sense</span>
      </NavLink>
    </Nav.Link>
  );
}
