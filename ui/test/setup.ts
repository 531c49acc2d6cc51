import "@testing-library/jest-dom/vitest";
import { cleanup, configure } from "@testing-library/react";
import { afterEach } from "vitest";

// What is waited for comes, on a busy machine too: only a test that fails takes so long.
configure({ asyncUtilTimeout: 15_000 });

afterEach(cleanup);
