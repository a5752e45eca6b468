/**
 * Counts to °C under scene parameters that the user changes: FLIR's measurement formula with one path through the air.
 *
 * The same as isotherm.radiometry.planck and .atmosphere, guards included. A scene has the names and units of flags and
 * sidecars: emissivity, reflected_c, atmosphere_c, humidity_percent, distance_m, window_transmission, window_c.
 */

const ZERO_CELSIUS_K = 273.15;
const LEAST_LOG_ARGUMENT = 1.0002;

/** The parameters as people see them: [name, text, least, most, step]. */
export const PARAMETERS = [
  ["emissivity", "Emissivity", 0.01, 1, 0.01],
  ["reflected_c", "Reflected °C", -273, 3000, 1],
  ["atmosphere_c", "Air °C", -100, 200, 1],
  ["humidity_percent", "Humidity %", 0, 100, 1],
  ["distance_m", "Distance m", 0, 100000, 0.5],
  ["window_transmission", "Window transmission", 0.01, 1, 0.01],
  ["window_c", "Window °C", -100, 1000, 1],
];

function within(value, least, most) {
  return Math.min(Math.max(value, least), most);
}

export class Planck {
  /** `counts` belong to the steps of a plane's table. */
  constructor({ planck, air }, counts) {
    Object.assign(this, { planck, air, counts });
  }

  /** Return tau of the air between object and camera. */
  transmission({ atmosphere_c, humidity_percent, distance_m }) {
    const air = within(atmosphere_c, -30, 90);
    const water = (humidity_percent / 100) * Math.exp(1.5587 + 0.06939 * air - 2.7816e-4 * air ** 2 + 6.8455e-7 * air ** 3);
    const root = Math.min(Math.sqrt(water), 6.2365);
    const { alpha1, alpha2, beta1, beta2, x } = this.air;
    const decay = (alpha, beta) => Math.exp(-within(Math.sqrt(distance_m) * (alpha + beta * root), -300, 300));
    return within(x * decay(alpha1, beta1) + (1 - x) * decay(alpha2, beta2), 0.4, 1);
  }

  /** Return the counts of a blackbody. */
  blackbody(celsius) {
    const { r1, r2, b, f, o } = this.planck;
    const kelvin = celsius + ZERO_CELSIUS_K;
    if (kelvin <= 0 || b / kelvin > 700) return -o;
    const occupancy = Math.exp(b / kelvin) - f;
    return occupancy > 0 ? r1 / (r2 * occupancy) - o : Infinity;
  }

  /** Return the temperature [°C] of each step of the table, NaN where the counts are too low to have one. */
  table(scene) {
    const { r1, r2, b, f, o } = this.planck;
    const { emissivity, reflected_c, atmosphere_c, window_transmission, window_c } = scene;
    const tau = this.transmission(scene);
    const gain = 1 / (emissivity * tau * window_transmission);
    const offset = ((1 - emissivity) / emissivity) * this.blackbody(reflected_c)
      + ((1 - tau) / (emissivity * tau)) * this.blackbody(atmosphere_c)
      + (1 - window_transmission) * gain * this.blackbody(window_c);
    return Float32Array.from(this.counts, (count) => {
      const radiation = gain * count - offset + o;
      const argument = r1 / (r2 * radiation) + f;
      const kelvin = radiation > 0 && argument >= LEAST_LOG_ARGUMENT ? b / Math.log(argument) : NaN;
      // In steps of float32, as Python computes.
      return Math.fround(kelvin) - Math.fround(ZERO_CELSIUS_K);
    });
  }
}
