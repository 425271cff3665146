/** htm bound to preact: what every view writes its markup with. */

import { h } from "preact";
import htm from "htm";
import "@preact/signals";

export const html = htm.bind(h);
