declare module "react-router-bootstrap" {
  import type { ComponentType, ReactNode } from "react";

  export const LinkContainer: ComponentType<{
    to: string;
    exact?: boolean;
    activeClassName?: string;
    children?: ReactNode;
  }>;
}
