// What the steps of the Node SDK's tour share: the SDK's client, and who calls it and looks on.
import assert from 'node:assert/strict';
import { pathToFileURL } from 'node:url';

const [folder, address] = process.argv.slice(2);
export const url = address;
const { default: Nylas } = await import(pathToFileURL(`${folder}/lib/esm/nylas.js`));

export const API_KEY = 'nyk_conformance';
export const CLIENT_ID = 'c0f0c0f0-1111-4222-8333-444444444444';
export const REDIRECT_URI = 'https://app.example.com/callback';
export const EMAIL = 'nyla@example.com';
export const HOOK = `${url}/_hook/node`;
export const NOWHERE = '11111111-2222-4333-8444-999999999999';

export const nylas = new Nylas({ apiKey: API_KEY, apiUri: url, timeout: 10 });
export const called = new Set();

// Calls a method by its name, such as `grants.find`, so that the record knows it.
export async function call(method, ...args) {
  called.add(method);
  await fetch(`${url}/_calling/${method}`, { method: 'PUT' });
  const path = method.split('.');
  const name = path.pop();
  const part = path.reduce((at, key) => at[key], nylas);
  return part[name](...args);
}

export async function control(path, body) {
  const answered = await fetch(`${url}/_sim/${path}`, { method: 'POST', body: JSON.stringify(body) });
  assert.ok(answered.ok, await answered.clone().text());
  return answered.json();
}

// Opens an address as a user's browser would, and returns what the callback is given.
export async function browse(address) {
  const answered = await fetch(address, { redirect: 'manual' });
  assert.equal(answered.status, 302, await answered.clone().text());
  const location = new URL(answered.headers.get('location'));
  assert.equal(location.origin + location.pathname, REDIRECT_URI);
  return Object.fromEntries(location.searchParams);
}

export async function refuses(expected, method, ...args) {
  const error = await call(method, ...args).then(
    () => assert.fail(`${method} was not refused`),
    (refusal) => refusal,
  );
  assert.ok(error.message);
  assert.ok(error.requestId, String(error));
  for (const [name, value] of Object.entries(expected)) {
    assert.deepEqual(error[name], value, `${name} of ${method}`);
  }
  return error;
}
