// The long way: into the cart, a look at it, an order that is paid later, and the payment. One in ten thinks better of it.

import { check } from 'k6';

import { addToCart, cancel, emptyCart, lookAtCart, lookAtPayment, orderCart, pay } from './lib/api.js';
import { anyOf, anyOther, oneIn, ownOf } from './lib/chance.js';
import { options as run } from './lib/load.js';
import { audit, prepare } from './lib/shop.js';

export const options = run('cart-to-paid', { p99: 500 });
export const setup = () => prepare('buyers', 'products');
export const teardown = audit;

export default function cartToPaid(shop) {
  const customer = ownOf(shop.buyers);
  const first = anyOf(shop.products);
  addToCart(customer, first);
  addToCart(customer, anyOther(shop.products, first));
  lookAtCart(customer);

  const answer = orderCart(customer);
  if (!answer) {
    emptyCart(customer);
    return;
  }
  const order = answer.json('orderId');
  if (oneIn(10)) {
    cancel(customer, order);
    return;
  }
  pay(customer, order);
  const payment = lookAtPayment(customer, order);
  check(payment, { 'who has paid sees it': () => payment && payment.json('status') === 'COMPLETED' });
}
