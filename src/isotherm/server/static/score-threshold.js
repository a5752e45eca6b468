/**
 * <score-threshold data-now data-low data-high>: moves the threshold of an anomaly model over its histograms.
 *
 * The server counts in the same way (workflows/service/score_thresholds.py); `rows` are `[image, name, score, truth,
 * learnt]`, `held` the scores of the normal images that were held out, `alarms` what so many of them above it mean.
 */

import { ThresholdElement } from "./threshold.js";

const short = (value) => String(Number(value.toPrecision(4)));

class ScoreThreshold extends ThresholdElement {
  read() {
    Object.assign(this, JSON.parse(this.querySelector("[data-scores]").textContent));
  }

  slid(threshold) {
    const value = Number(threshold.toPrecision(4));
    this.field.value = value;
    this.show(value);
  }

  plot(threshold, plot) {
    super.plot(threshold, plot);
    this.slide.setAttribute("aria-valuetext", short(threshold));
  }

  counts(threshold) {
    const fresh = this.rows.filter(([, , , , learnt]) => !learnt);
    const above = (rows) => `${rows.filter(([, , score]) => score > threshold).length} of ${rows.length}`;
    const of = (wanted) => fresh.filter(([, , , truth]) => truth === wanted);
    const outside = this.held.filter((score) => score > threshold).length;
    const alarms = this.alarms[outside];
    return [
      above(fresh), above(of("strange")), above(of("normal")), `${outside} of ${this.held.length}`,
      alarms ? alarms.map((share) => `${(100 * share).toFixed(1)} %`).join(" – ") : "",
    ];
  }

  share(threshold) {
    const [low, high] = [Number(this.dataset.low), Number(this.dataset.high)];
    return Math.min(1, Math.max(0, (threshold - low) / (high - low)));
  }

  text = short;
  label = (threshold) => `Two histograms of scores; the threshold is ${short(threshold)}`;
  value = ([, , score]) => score;
  between = (score, low, high) => score > low && score <= high;
  said = ([, , score]) => `score ${short(score)}`;

  change([, , , truth, learnt], higher) {
    return [higher ? "would be as usual" : "would stand out", truth && `is ${truth}`, learnt && "learnt from"].filter(Boolean).join("; ");
  }
}

customElements.define("score-threshold", ScoreThreshold);
