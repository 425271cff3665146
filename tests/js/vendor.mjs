// What the page's import map is to a browser, for Node: bare names lead to static/vendor.
import { registerHooks } from "node:module";

const names = {
  preact: "preact.js",
  "preact/hooks": "preact-hooks.js",
  "@preact/signals": "signals.js",
  "@preact/signals-core": "signals-core.js",
  htm: "htm.js",
};

registerHooks({
  resolve: (name, context, next) =>
    name in names
      ? {
          url: new URL(`../../static/vendor/${names[name]}`, import.meta.url).href,
          format: "module",
          shortCircuit: true,
        }
      : next(name, context),
});
