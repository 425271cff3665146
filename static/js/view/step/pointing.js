/**
 * What the pointer or the focus is on is lit, and read out, as long as it is there: also when another number comes to
 * stand there.
 */

import { useEffect, useRef } from "preact/hooks";

import { setHover } from "../../state/store.js";

/**
 * Handlers of an element that shows a number. @param {string|null} place of the number, null where there is none
 * @param {() => void} [onFocus] what else is to be done
 */
export function usePointing(place, onFocus) {
  const on = useRef(false);
  const tell = (/** @type {boolean} */ is) => {
    on.current = is;
    setHover(is && place !== null ? { place } : null);
  };
  useEffect(() => {
    if (on.current) tell(true);
  }, [place]);
  return {
    onPointerEnter: () => tell(true),
    onPointerLeave: () => tell(false),
    onFocus: () => {
      onFocus?.();
      tell(true);
    },
    onBlur: () => tell(false),
  };
}
