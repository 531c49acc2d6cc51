/** The bar at the top. */
import {
  faBars,
  faCog,
  faPlayCircle,
  faTag,
  faTimes,
  faUser,
  faVideo,
} from "@fortawesome/free-solid-svg-icons";
import React, { useState } from "react";
import { Button, Nav, Navbar } from "react-bootstrap";
import { LinkContainer } from "react-router-bootstrap";
import { Link, NavLink, useHistory } from "react-router-dom";
import { Icon } from "./Icon";
import { useKeys } from "./keys";
import { component } from "./patch";

const ENTRIES = [
  { name: "Scenes", to: "/scenes", icon: faPlayCircle, keys: "g s" },
  { name: "Performers", to: "/performers", icon: faUser, keys: "g p" },
  { name: "Studios", to: "/studios", icon: faVideo, keys: "g u" },
  { name: "Tags", to: "/tags", icon: faTag, keys: "g t" },
];

interface Children {
  children?: React.ReactNode;
}

const MenuItems = component<Children>("MainNavBar.MenuItems", ({ children }) => (
  <Nav>{children}</Nav>
));

const UtilityItems = component<Children>("MainNavBar.UtilityItems", ({ children }) => (
  <>{children}</>
));

function Settings() {
  return (
    <UtilityItems>
      <NavLink className="nav-utility" exact to="/settings" aria-label="Settings">
        <Button className="minimal d-flex align-items-center h-100" title="Settings" as="span">
          <Icon icon={faCog} />
        </Button>
      </NavLink>
    </UtilityItems>
  );
}

export function MainNavbar() {
  const history = useHistory();
  const [expanded, setExpanded] = useState(false);
  useKeys({
    "g z": () => history.push("/settings"),
    ...Object.fromEntries(ENTRIES.map(({ keys, to }) => [keys, () => history.push(to)])),
  });
  return (
    <Navbar
      collapseOnSelect
      fixed="top"
      variant="dark"
      bg="dark"
      className="top-nav"
      expand="xl"
      expanded={expanded}
      onToggle={setExpanded}
    >
      <Navbar.Collapse className="bg-dark order-sm-1">
        <MenuItems>
          {ENTRIES.map(({ name, to, icon }) => (
            <Nav.Link
              key={to}
              as="div"
              eventKey={to}
              className="col-4 col-sm-3 col-md-2 col-lg-auto"
            >
              <LinkContainer activeClassName="active" exact to={to}>
                <Button className="minimal p-4 p-xl-2 d-flex d-xl-inline-block flex-column justify-content-between align-items-center">
                  <Icon icon={icon} className="nav-menu-icon d-block d-xl-inline mb-2 mb-xl-0" />
                  <span>{name}</span>
                </Button>
              </LinkContainer>
            </Nav.Link>
          ))}
        </MenuItems>
      </Navbar.Collapse>
      <Navbar.Brand as="div">
        <Link to="/" className="minimal brand-link d-inline-block btn btn-primary">
          Stash
        </Link>
      </Navbar.Brand>
      <Nav className="navbar-buttons flex-row ml-auto order-xl-2">
        <Settings />
        <Navbar.Toggle className="nav-menu-toggle ml-sm-2">
          <Icon icon={expanded ? faTimes : faBars} />
        </Navbar.Toggle>
      </Nav>
    </Navbar>
  );
}
