/**
 * <threshold-tool data-now>: moves the threshold over the histogram and shows at once what would change.
 *
 * The server counts in the same way (pages/threshold.py); `[image, name, nearest, confidence, truth]` are its rows.
 */

import { ThresholdElement } from "./threshold.js";

class ThresholdTool extends ThresholdElement {
  read() {
    this.rows = JSON.parse(this.querySelector("[data-rows]").textContent);
  }

  show(least) {
    this.field.value = least.toFixed(2);
    super.show(least);
  }

  plot(least, plot) {
    super.plot(least, plot);
    for (const bar of plot.querySelectorAll(".bar")) bar.classList.toggle("out", Number(bar.dataset.low) < least);
  }

  counts(least) {
    const counts = [0, 0, 0, 0, 0, 0];
    for (const [, , nearest, sure, truth] of this.rows) {
      const held = sure < least;
      counts[held ? 1 : 0] += 1;
      if (truth) counts[held ? (truth === nearest ? 5 : 4) : (truth === nearest ? 2 : 3)] += 1;
    }
    return counts;
  }

  share = (least) => least;
  text = (least) => least.toFixed(2);
  label = (least) => `Histogram of confidences; the threshold is ${Math.round(100 * least)} %`;
  value = ([, , , sure]) => sure;
  between = (sure, low, high) => sure >= low && sure < high;
  said = ([, , nearest, sure]) => `${nearest} ${Math.round(100 * sure)} %`;

  change([, , , , truth], higher) {
    const what = higher ? "would be held back" : "would be said";
    return truth ? `${what}; is ${truth}` : what;
  }
}

customElements.define("threshold-tool", ThresholdTool);
