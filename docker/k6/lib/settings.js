// What can be set, from the environment: `VUS=16 k6 run browse.js`, or `k6 run -e VUS=16 browse.js`. The README lists all of it.

function text(name, otherwise) {
  return __ENV[name] || otherwise;
}

function number(name, otherwise) {
  const value = Number(text(name, otherwise));
  if (!(value > 0)) {
    throw new Error(`${name}=${__ENV[name]} is no number above 0`);
  }
  return value;
}

function oneOf(name, choices, otherwise) {
  const value = text(name, otherwise);
  if (!choices.includes(value)) {
    throw new Error(`${name}=${value} is none of ${choices.join(', ')}`);
  }
  return value;
}

/** In seconds, of `90`, `90s`, `500ms`, `1h30m`. */
function seconds(name, otherwise) {
  const value = text(name, otherwise);
  if (/^\d+$/.test(value)) {
    return Number(value);
  }
  const parts = value.match(/\d+(ms|s|m|h)/g) || [];
  if (parts.join('') !== value) {
    throw new Error(`${name}=${value} is no duration such as 30s or 5m`);
  }
  const units = { ms: 0.001, s: 1, m: 60, h: 3600 };
  return parts.reduce((sum, part) => sum + parseInt(part, 10) * units[part.replace(/\d+/, '')], 0);
}

/** Instances of the shop: each virtual user keeps to one. */
export const shops = text('BASE_URL', 'http://127.0.0.1:8080')
  .split(',')
  .map((url) => url.trim().replace(/\/+$/, ''));

export const administrator = number('ADMIN', 1);
/** Unset: the shop believes headers. */
export const jwt = __ENV.JWT_SECRET
  ? { secret: __ENV.JWT_SECRET, issuer: __ENV.JWT_ISSUER, audience: __ENV.JWT_AUDIENCE }
  : null;

/** Virtual users: in an open load, the most that wait for an answer at a time. */
export const vus = number('VUS', 32);
/** Iterations a second, of an open load. */
export const rate = number('RATE', 100);
export const load = (otherwise) => oneOf('LOAD', ['closed', 'ramping', 'open'], otherwise);
export const duration = (otherwise) => seconds('DURATION', otherwise);
/** In milliseconds. */
export const p99 = (otherwise) => number('P99', otherwise);

/** Of an open load, the part that may be dropped, in percent. */
export const dropped = number('DROPPED', 1);

/** Customers who are registered for the run. */
export const users = number('USERS', 1000);
export const products = number('PRODUCTS', 50);
/** Pieces of each product that is made for the run. */
export const stock = number('STOCK', 1000000);
/** The code of a coupon that is there. Unset: one is made, of which there are so many. */
export const coupon = __ENV.COUPON;
export const coupons = number('COUPONS', 100);
