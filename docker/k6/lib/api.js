// What can be asked of a shop. Each request is told in the metrics by the route (`name`), and checked for an answer that
// docs/openapi.json promises: what is sold out is refused, and that is no failure.

import { check } from 'k6';
import exec from 'k6/execution';
import http from 'k6/http';
import { Counter } from 'k6/metrics';

import { as } from './callers.js';
import { shops } from './settings.js';

const ordersPlaced = new Counter('orders_placed');
const ordersSoldOut = new Counter('orders_sold_out');
const couponsClaimed = new Counter('coupons_claimed');
const couponsMissed = new Counter('coupons_missed');

/**
 * A route answers with `status`, or refuses with 409 and one of the error codes in `refusals`. `done` and `refused` count which.
 */
function route(method, path, status, { refusals = [], done, refused } = {}) {
  const statuses = refusals.length > 0 ? [status, 409] : [status];
  return {
    name: `${method} ${path}`,
    method,
    path,
    status,
    refusals: refusals.map((code) => `"error":"${code}"`),
    done,
    refused,
    callback: http.expectedStatuses(...statuses),
  };
}

const ofOrders = { refusals: ['OUT_OF_STOCK'], done: ordersPlaced, refused: ordersSoldOut };
const ofClaims = {
  refusals: ['COUPON_SOLD_OUT', 'COUPON_ALREADY_CLAIMED'],
  done: couponsClaimed,
  refused: couponsMissed,
};

export const routes = {
  products: route('GET', '/products', 200),
  product: route('GET', '/products/{id}', 200),
  popular: route('GET', '/stats/popular-products', 200),
  offers: route('GET', '/coupons', 200),
  offer: route('GET', '/coupons/{code}', 200),
  claim: route('POST', '/coupons/{code}/claim', 200, ofClaims),
  register: route('POST', '/users', 201),
  charge: route('POST', '/wallets/charge', 200),
  order: route('POST', '/orders', 201, ofOrders),
  pay: route('POST', '/orders/{id}/pay', 200),
  cancel: route('POST', '/orders/{id}/cancel', 200),
  payment: route('GET', '/orders/{id}/payment', 200),
  cart: route('GET', '/cart', 200),
  addToCart: route('POST', '/cart/items', 201, { refusals: ['OUT_OF_STOCK'] }),
  emptyCart: route('DELETE', '/cart', 204),
  orderCart: route('POST', '/cart/order', 201, ofOrders),
  allProducts: route('GET', '/admin/products', 200),
  createProduct: route('POST', '/admin/products', 201),
  createStore: route('POST', '/admin/stores', 201),
  createCoupon: route('POST', '/admin/coupons', 201),
  adjustWallet: route('POST', '/admin/wallets/{id}/adjust', 200),
  audit: route('GET', '/admin/audit', 200),
};

/** Shorter than what k6 gives requests at the end of a run, 30 seconds: those that it cuts off then count nowhere. */
const PATIENCE = '20s';

/** As k6 takes it, for one request or for a batch of them. */
export function request(asked, { path = asked.path, headers = {}, body, key, timeout = PATIENCE } = {}) {
  const shop = shops[exec.vu.idInTest % shops.length];
  const all = { 'Accept-Language': 'en', ...headers };
  if (body) {
    all['Content-Type'] = 'application/json';
  }
  if (key) {
    all['Idempotency-Key'] = key;
  }
  return {
    method: asked.method,
    url: `${shop}/api/v1${path}`,
    body: body ? JSON.stringify(body) : null,
    params: { headers: all, tags: { name: asked.name }, responseCallback: asked.callback, timeout },
  };
}

/** The answer, if it is the one that was hoped for; null when that was refused. */
function send(asked, options) {
  const { method, url, body, params } = request(asked, options);
  const response = http.request(method, url, body, params);
  const done = response.status === asked.status;
  const refused = response.status === 409 && asked.refusals.some((code) => response.body.includes(code));
  if (!check(response, { [`${asked.name} answers as documented`]: () => done || refused })) {
    tell(asked, response);
  }
  const counter = done ? asked.done : refused && asked.refused;
  if (counter) {
    counter.add(1);
  }
  return done ? response : null;
}

const told = new Set();

/** Once for each route and virtual user: who has a thousand failures looks at the first. */
function tell(asked, response) {
  if (!told.has(asked.name)) {
    told.add(asked.name);
    console.error(`${asked.name}: ${describe(response)}`);
  }
}

export const describe = ({ status, body, error }) => (status === 0 ? error : `${status} ${body}`);

let keys = 0;
const anyNumber = Math.random().toString(36).slice(2);

/** No other request has it, of this run or of another. */
export function newKey() {
  keys += 1;
  return `k6-${exec.vu.idInTest}-${anyNumber}-${keys}`;
}

export const listProducts = (page) => send(routes.products, { path: `/products?page=${page}&size=20` });
export const lookAtProduct = (id) => send(routes.product, { path: `/products/${id}` });
export const listPopular = () => send(routes.popular, { path: '/stats/popular-products?days=3&limit=5' });
export const listOffers = () => send(routes.offers);

export const charge = (user, amount, key) => send(routes.charge, { headers: as(user), body: { amount }, key });

/** One piece of each product, paid at once. */
export function placeOrder(user, products) {
  const items = products.map((productId) => ({ productId, qty: 1 }));
  return send(routes.order, { headers: as(user), body: { items }, key: newKey() });
}

export const lookAtCart = (user) => send(routes.cart, { headers: as(user) });
export const emptyCart = (user) => send(routes.emptyCart, { headers: as(user), key: newKey() });

export function addToCart(user, productId) {
  return send(routes.addToCart, { headers: as(user), body: { productId, qty: 1 }, key: newKey() });
}

/** What is in the cart, to be paid later. */
export function orderCart(user) {
  return send(routes.orderCart, { headers: as(user), body: { payment: 'DEFERRED' }, key: newKey() });
}

export function pay(user, order) {
  return send(routes.pay, { path: `/orders/${order}/pay`, headers: as(user), key: newKey() });
}

export function cancel(user, order) {
  return send(routes.cancel, { path: `/orders/${order}/cancel`, headers: as(user), key: newKey() });
}

export function lookAtPayment(user, order) {
  return send(routes.payment, { path: `/orders/${order}/payment`, headers: as(user) });
}

/** Without a key: a customer has a coupon once, however often they ask, and with a key each claim reaches the database. */
export const claim = (user, code) => send(routes.claim, { path: `/coupons/${code}/claim`, headers: as(user) });
