// Who asks: by headers, or by a token that the script signs, as docs/authentication.md describes them.

import crypto from 'k6/crypto';
import encoding from 'k6/encoding';

import { administrator, jwt } from './settings.js';

const LIFETIME_S = 8 * 3600;
const tokens = {};

export const asAdministrator = () => as(administrator, 'ADMIN');

/** What a request of this user says of who asks. */
export function as(user, role) {
  if (jwt) {
    return { Authorization: `Bearer ${token(user, role)}` };
  }
  const headers = { 'X-User-Id': `${user}` };
  return role ? { ...headers, 'X-User-Role': role } : headers;
}

/** Signing costs more than sending, so each virtual user keeps what it has signed. */
function token(user, role) {
  const kept = `${user} ${role}`;
  tokens[kept] = tokens[kept] || sign(user, role);
  return tokens[kept];
}

function sign(user, role) {
  const claims = {
    sub: `${user}`,
    exp: Math.floor(Date.now() / 1000) + LIFETIME_S,
    roles: role ? [role] : undefined,
    iss: jwt.issuer,
    aud: jwt.audience,
  };
  const part = (value) => encoding.b64encode(JSON.stringify(value), 'rawurl');
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
  return `${signed}.${crypto.hmac('sha256', jwt.secret, signed, 'base64rawurl')}`;
}
