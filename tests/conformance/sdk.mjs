// The tour of Nylas' Node SDK: `node sdk.mjs NYLAS_FOLDER SIMULATOR_URL`; prints a line of JSON for each step.
import { steps as admin } from './sdk_admin.mjs';
import { steps as auth } from './sdk_auth.mjs';
import { called, control, nylas } from './sdk_visitor.mjs';

const PARTS = [
  'auth', 'grants', 'connectors', 'connectors.credentials', 'applications', 'applications.redirectUris', 'webhooks',
];
const INSIDE = new Set(['auth.urlAuthBuilder', 'auth.hashPKCESecret', 'auth.getTokenInfo']); // private in TypeScript

function methodsOf(name) {
  const part = name.split('.').reduce((at, key) => at[key], nylas);
  return Object.getOwnPropertyNames(Object.getPrototypeOf(part))
    .filter((method) => method !== 'constructor')
    .map((method) => `${name}.${method}`);
}

const print = (line) => console.log(JSON.stringify(line));
for (const [step, take] of Object.entries({ ...auth, ...admin })) {
  try {
    await control('reset', {});
    await take();
    print({ step, problem: '' });
  } catch (error) {
    print({ step, problem: String(error.stack ?? error) });
  }
}
print({ methods: PARTS.flatMap(methodsOf).filter((method) => !INSIDE.has(method)), called: [...called] });
