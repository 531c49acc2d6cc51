import { expect, test } from "vitest";
import { check, checkTags, listed } from "../src/settings/check";
import { ROWS, type Row } from "../src/settings/form";
import { change, read, refusal } from "../src/settings/stored";
import cases from "./settings_cases.json";

const row = (key: string): Row => {
  const found = ROWS.find((each) => each.key === key);
  if (found === undefined) throw new Error(`no setting ${key}`);
  return found;
};

test.each(cases.values)("$key: $json is as the plugin has it", ({ key, json, used, refused }) => {
  expect(check(row(key), JSON.parse(json))).toEqual(refused === undefined ? { used } : { refused });
});

test.each(cases.tags)("tags $json are as the plugin has them", ({ json, says }) => {
  const told = checkTags(JSON.parse(json));
  if (says === "") expect(told).toBeUndefined();
  else expect(says.startsWith(`${told}; `)).toBe(true);
});

test("a key in other letters counts, and goes with the next change", () => {
  const reading = read({ Frames: 30, COLOUR: 1 });
  expect(reading.states.frames).toEqual({ used: 30, isChanged: true });
  expect(reading.ignored).toEqual(["COLOUR"]);
  expect(change(reading, row("frames"), 40)).toEqual({ frames: 40, Frames: undefined });
});

test("where both are stored ours counts and the other is ignored", () => {
  const reading = read({ FRAMES: 30, frames: 50 });
  expect(reading.states.frames?.used).toBe(50);
  expect(reading.ignored).toEqual(["FRAMES"]);
  expect(change(reading, row("frames"), undefined)).toEqual({ frames: undefined });
});

test("what cannot be used is said with what holds instead", () => {
  const { states, tags } = read({ frames: 1, markers: "yes", tagme_tag: "tagged" });
  expect(states.frames?.unusable?.why).toBe("1 is not between 2 and 2000");
  expect(states.markers?.unusable?.why).toBe("'yes' is neither true nor false");
  expect(tags).toMatch(/^The workflow tags and the parent of new tags \('tagged', 'Tagged'/);
});

test("a tag may not be called as another is, by itself or by what is typed", () => {
  expect(refusal({}, row("tagme_tag"), "tagged")).toMatch(/must differ/);
  expect(refusal({ Tagged_tag: "Seen" }, row("tagme_tag"), "seen")).toMatch(/must differ/);
  expect(refusal({ tagged_tag: "Seen" }, row("tagme_tag"), "Tagged")).toBeUndefined();
});

test("0 and nothing take the key away", () => {
  const reading = read({ frames: 30, tagme_tag: "Do" });
  expect(change(reading, row("frames"), 0)).toEqual({ frames: undefined });
  expect(change(reading, row("tagme_tag"), "")).toEqual({ tagme_tag: undefined });
  expect(change(reading, row("skip_text"), false)).toEqual({ skip_text: false });
});

test("a list is read as the plugin reads it", () => {
  expect(listed(" a, b\r\nc,, \n")).toEqual(["a", "b", "c"]);
});
