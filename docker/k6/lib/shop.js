// What a run needs of the shop before it begins, and what must be true of the shop when it is over.

import { check, fail } from 'k6';
import http from 'k6/http';

import { describe, request, routes } from './api.js';
import { asAdministrator } from './callers.js';
import * as settings from './settings.js';

/** The name of the check that teardown makes. */
export const BOOKS_BALANCE = 'the books balance';

/** In each buyer's wallet: more than a run can spend. */
const PLENTY = '1000000000.00';
const PRICE = '10.00';
const A_DAY_MS = 86400000;

/** Requests under way at a time. */
export const AT_A_TIME = 64;

/**
 * Makes what is asked for, and answers with it. `buyers` are customers with money, `newcomers` such with empty wallets;
 * of `products` there are enough; the `deal` is a product that everybody wants; `coupon` is the code of one.
 */
export function prepare(...needs) {
  const run = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 6)}`;
  const make = {
    buyers: () => withMoney(register(`k6-${run}-buyer`)),
    newcomers: () => register(`k6-${run}-newcomer`),
    products: () => productsInStock(run),
    deal: () => createProducts(`k6 ${run} deal`, 1)[0],
    coupon: () => (settings.coupon ? findCoupon(settings.coupon) : createCoupon(`K6-${run}`)),
  };
  return Object.fromEntries(needs.map((need) => [need, make[need]()]));
}

/** The conservation audit of the shop. The threshold on its check fails the run. */
export function audit() {
  const headers = asAdministrator();
  const answer = ask(routes.audit, { headers, timeout: '600s' });
  const broken = answer.checks.filter((rule) => rule.violations.length > 0);
  check(answer, { [BOOKS_BALANCE]: () => answer.clean });
  broken.forEach((rule) => console.error(`${rule.rule}: ${rule.violations.slice(0, 3).join('; ')}`));
}

function register(name) {
  const people = Array.from({ length: settings.users }, (_, index) => ({ name, email: `${name}-${index}@example.com` }));
  return askAll(routes.register, people.map((body) => ({ body }))).map((customer) => customer.id);
}

function withMoney(customers) {
  const body = { amount: PLENTY, reason: 'k6' };
  const headers = asAdministrator();
  askAll(routes.adjustWallet, customers.map((id) => ({ path: `/admin/wallets/${id}/adjust`, headers, body })));
  return customers;
}

/** Such as the shop has enough of, whoever put them there, and as many new ones as are missing. */
function productsInStock(run) {
  const headers = asAdministrator();
  const path = `/admin/products?active=true&deleted=false&size=${Math.min(settings.products, 100)}`;
  const { content } = ask(routes.allProducts, { path, headers });
  const found = content.filter((product) => !product.hasVariants && product.stock >= settings.stock / 10);
  const missing = settings.products - found.length;
  return found.map((product) => product.id).concat(createProducts(`k6 ${run}`, missing));
}

function createProducts(name, count) {
  if (count === 0) {
    return [];
  }
  const headers = asAdministrator();
  const store = ask(routes.createStore, { headers, body: { name } });
  const product = { storeId: store.id, price: PRICE, stock: settings.stock };
  const asked = Array.from({ length: count }, (_, index) => ({ headers, body: { ...product, name: `${name} ${index}` } }));
  return askAll(routes.createProduct, asked).map((created) => created.id);
}

function findCoupon(code) {
  const { status } = ask(routes.offer, { path: `/coupons/${code}` });
  if (status !== 'OPEN' && status !== 'SOLD_OUT') {
    fail(`COUPON=${code} cannot be claimed: it is ${status}`);
  }
  return code;
}

/** It can be claimed since yesterday, so that clocks need not agree. */
function createCoupon(code) {
  const inDays = (days) => `${new Date(Date.now() + days * A_DAY_MS).toISOString().slice(0, 19)}Z`;
  const window = { claimStartsAt: inDays(-1), claimEndsAt: inDays(1) };
  const body = { code, name: code, type: 'PERCENT', value: 10, totalQuantity: settings.coupons, ...window };
  return ask(routes.createCoupon, { headers: asAdministrator(), body }).code;
}

const ask = (asked, options) => askAll(asked, [options])[0];

/** The bodies of the answers. Whatever else is answered ends the run, with what may help. */
function askAll(asked, all) {
  const bodies = [];
  for (let from = 0; from < all.length; from += AT_A_TIME) {
    const answers = http.batch(all.slice(from, from + AT_A_TIME).map((options) => request(asked, options)));
    const wrong = answers.find((answer) => answer.status !== asked.status);
    if (wrong) {
      fail(`${asked.name}: ${describe(wrong)}. ${ADVICE[wrong.status] || ''}`);
    }
    bodies.push(...answers.map((answer) => answer.json()));
  }
  return bodies;
}

const ADVICE = {
  0: 'Is there a shop at BASE_URL?',
  401: 'A shop with JANGTEO_AUTH=jwt needs JWT_SECRET, the secret that it checks tokens with.',
  429: 'Start the shop with JANGTEO_RATE_LIMIT=off: all of this comes from one address.',
};
