// Forms made from JSON Schemas. A value that has no simple control is written as JSON.
"use strict";

/** The schema that a property uses, with references to `$defs` resolved, and the first choice that is not null. */
function resolved(schema, root, depth = 0) {
  if (!schema || typeof schema !== "object" || depth > 8) return {};
  if (typeof schema.$ref === "string" && schema.$ref.startsWith("#/")) {
    const target = schema.$ref.slice(2).split("/").reduce((at, part) => at?.[part.replace(/~1/g, "/").replace(/~0/g, "~")], root);
    return { ...resolved(target, root, depth + 1), ...(schema.description ? { description: schema.description } : {}) };
  }
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices && choices.every((choice) => choice && "const" in choice)) return { ...schema, enum: choices.map((choice) => choice.const) };
  const choice = choices?.find((choice) => choice?.type !== "null");
  if (choice) return { ...resolved(choice, root, depth + 1), ...(schema.description ? { description: schema.description } : {}) };
  const type = Array.isArray(schema.type) ? schema.type.find((type) => type !== "null") : schema.type;
  return { ...schema, type };
}

let controls = 0;
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "class") made.className = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** A control for one value: the element, and a function that reads the value; `undefined` if it is left empty. */
function control(name, schema, root, isRequired, depth) {
  const own = resolved(schema, root);
  const id = `argument-${++controls}`;
  const title = own.title && own.title !== name ? `${own.title} (${name})` : name;
  const hint = own.description ? element("span", { class: "hint", id: `${id}-hint` }, own.description) : null;
  const described = hint ? { "aria-describedby": `${id}-hint` } : {};
  const labelled = (input) => element("div", {}, element("label", { for: id, class: isRequired ? "required" : "" }, title), input, hint);
  const preset = own.default;
  if (own.enum || "const" in own) {
    const values = own.enum ?? [own.const];
    const select = element("select", { id, ...described });
    if (!isRequired) select.append(new Option("", ""));
    values.forEach((value, index) => select.append(new Option(typeof value === "string" ? value : JSON.stringify(value), index)));
    const at = values.findIndex((value) => JSON.stringify(value) === JSON.stringify(preset));
    if (at >= 0) select.value = at;
    return { view: labelled(select), read: () => (select.value === "" ? undefined : values[Number(select.value)]) };
  }
  if (own.type === "boolean") {
    const box = element("input", { type: "checkbox", id, ...described });
    box.checked = preset === true;
    let touched = isRequired || preset !== undefined;
    box.addEventListener("change", () => { touched = true; });
    const view = element("div", {}, element("label", { class: "check", for: id }, box, title), hint);
    return { view, read: () => (touched ? box.checked : undefined) };
  }
  if (own.type === "object" && own.properties && depth < 3) {
    const inner = fields(own, root, depth + 1);
    const view = element("fieldset", {}, element("legend", { class: isRequired ? "required" : "" }, title), hint, ...inner.views);
    return { view, read: () => { const value = inner.read(); return isRequired || Object.keys(value).length > 0 ? value : undefined; } };
  }
  if (own.type === "integer" || own.type === "number") {
    // Not a number control: it would round numbers that are larger than its own.
    const input = element("input", { id, inputmode: own.type === "integer" ? "numeric" : "decimal", required: isRequired, autocomplete: "off", value: preset, ...described });
    return { view: labelled(input), read: () => (input.value.trim() === "" ? undefined : new Written(input.value.trim())) };
  }
  if (own.type === "string") {
    const isLong = (own.maxLength ?? 1000) > 200 && own.format === undefined;
    const input = isLong ? element("textarea", { id, rows: 2, ...described }, preset ?? "") : element("input", { id, value: preset, autocomplete: "off", ...described });
    return { view: labelled(input), read: () => (input.value === "" && !isRequired ? undefined : input.value) };
  }
  const isLines = own.type === "array" && resolved(own.items, root).type === "string" && !resolved(own.items, root).enum;
  const input = element("textarea", { id, rows: 3, spellcheck: "false", ...described }, preset === undefined ? "" : isLines ? preset.join("\n") : JSON.stringify(preset));
  const view = labelled(input);
  view.append(element("span", { class: "hint" }, isLines ? " One on each line" : " JSON"));
  return {
    view,
    read: () => {
      if (input.value.trim() === "") return isRequired && isLines ? [] : undefined;
      if (isLines) return input.value.split("\n").filter((line) => line !== "");
      try { return new Written(input.value, JSON.parse(input.value)); } catch (error) { throw new Error(`${name}: this is not JSON: ${error.message}`); }
    },
  };
}

/** A value that is sent as it was written, such as a number of more digits than JavaScript has. */
class Written {
  constructor(text) { this.text = text; }
}

/** The JSON of a value. */
function printed(value) {
  if (value instanceof Written) {
    JSON.parse(value.text);
    return value.text;
  }
  if (Array.isArray(value)) return `[${value.map(printed).join(",")}]`;
  if (value && typeof value === "object") return `{${Object.entries(value).map(([name, inner]) => `${JSON.stringify(name)}:${printed(inner)}`).join(",")}}`;
  return JSON.stringify(value);
}

/** The controls for the properties of an object. */
function fields(schema, root, depth) {
  const required = schema.required ?? [];
  const properties = Object.entries(schema.properties ?? {});
  const made = properties.map(([name, property]) => [name, control(name, property, root, required.includes(name), depth)]);
  return {
    views: made.map(([, { view }]) => view),
    read: () => Object.fromEntries(made.map(([name, { read }]) => [name, read()]).filter(([, value]) => value !== undefined)),
  };
}

/** A form for the arguments of a tool: its elements, and a function that returns the JSON of the arguments. */
function formOf(schema) {
  const { views, read } = fields(resolved(schema, schema), schema, 0);
  return { views, json: () => printed(read()) };
}
