// The Node SDK's steps through auth and grants.
import assert from 'node:assert/strict';

import { CLIENT_ID, EMAIL, REDIRECT_URI, browse, call, control, refuses } from './sdk_visitor.mjs';

const hosted = (more = {}) => ({
  clientId: CLIENT_ID, redirectUri: REDIRECT_URI, provider: 'google', loginHint: EMAIL, ...more,
});
const exchange = (code, more = {}) => ({ clientId: CLIENT_ID, redirectUri: REDIRECT_URI, code, ...more });

async function signIn(more) {
  const { code } = await browse(await call('auth.urlForOAuth2', hosted(more)));
  return call('auth.exchangeCodeForToken', exchange(code));
}

export const steps = {
  async 'hosted OAuth makes a grant'() {
    const back = await browse(await call('auth.urlForOAuth2', hosted({
      state: 's-1', accessType: 'offline', prompt: 'select_provider', includeGrantScopes: true, smtpRequired: true,
    })));
    assert.equal(back.state, 's-1');
    const tokens = await call('auth.exchangeCodeForToken', exchange(back.code));
    assert.deepEqual([tokens.email, tokens.provider, tokens.tokenType, tokens.expiresIn], [EMAIL, 'google', 'Bearer', 3600]);
    assert.ok(tokens.accessToken && tokens.refreshToken && tokens.idToken);
    const { data: grant } = await call('grants.find', { grantId: tokens.grantId });
    assert.deepEqual([grant.id, grant.email, grant.state, grant.grantStatus], [tokens.grantId, EMAIL, 's-1', 'valid']);
  },

  async 'PKCE is held to'() {
    const ours = await call('auth.urlForOAuth2PKCE', hosted());
    const first = await browse(ours.url);
    const tokens = await call('auth.exchangeCodeForToken', exchange(first.code, { codeVerifier: ours.secret }));
    assert.equal(tokens.email, EMAIL);
    const other = await browse((await call('auth.urlForOAuth2PKCE', hosted())).url);
    const wrong = exchange(other.code, { codeVerifier: ours.secret });
    await refuses({ statusCode: 400, error: 'invalid_grant', errorCode: 45004 }, 'auth.exchangeCodeForToken', wrong);
  },

  async 'a code works once'() {
    const { code } = await browse(await call('auth.urlForOAuth2', hosted()));
    await call('auth.exchangeCodeForToken', exchange(code));
    const error = await refuses(
      { name: 'Error', statusCode: 400, error: 'invalid_grant' }, 'auth.exchangeCodeForToken', exchange(code));
    assert.equal(error.constructor.name, 'NylasOAuthError');
    assert.ok(error.errorDescription && error.errorUri && error.errorCode);
  },

  async 'a refresh token gives a new access token'() {
    const first = await signIn({ accessType: 'offline' });
    const known = { clientId: CLIENT_ID, redirectUri: REDIRECT_URI };
    const second = await call('auth.refreshAccessToken', { ...known, refreshToken: first.refreshToken });
    assert.equal(second.grantId, first.grantId);
    assert.notEqual(second.accessToken, first.accessToken);
    const unknown = { ...known, refreshToken: 'unknown' };
    await refuses({ statusCode: 400, error: 'invalid_grant' }, 'auth.refreshAccessToken', unknown);
  },

  async 'tokens tell whose they are'() {
    const tokens = await signIn();
    for (const told of [
      await call('auth.idTokenInfo', tokens.idToken), await call('auth.accessTokenInfo', tokens.accessToken),
    ]) {
      assert.equal(told.data.iss, 'https://nylas.com');
      assert.deepEqual([told.data.email, told.data.sub], [EMAIL, tokens.grantId]);
      assert.equal(told.data.exp - told.data.iat, 3600);
    }
    await refuses({ statusCode: 400, error: 'invalid_token', errorCode: 400 }, 'auth.accessTokenInfo', 'unknown');
  },

  async 'an access token opens its own grant until it is revoked'() {
    const tokens = await signIn();
    const own = { grantId: 'me', overrides: { apiKey: tokens.accessToken } };
    assert.equal((await call('grants.find', own)).data.id, tokens.grantId);
    assert.equal(await call('auth.revoke', tokens.accessToken), true);
    await refuses({ statusCode: 401 }, 'grants.find', own);
    assert.equal((await call('grants.find', { grantId: tokens.grantId })).data.grantStatus, 'valid');
    await refuses({ statusCode: 400, error: 'invalid_token' }, 'auth.revoke', 'unknown');
  },

  async 'an admin consents for all of a tenant'() {
    const data = { clientId: 'azure-client', clientSecret: 'azure-secret', tenant: 'tenant-1' };
    const { data: credential } = await call('connectors.credentials.create', {
      provider: 'microsoft', requestBody: { name: 'tenant', credentialType: 'adminconsent', credentialData: data },
    });
    const address = await call('auth.urlForAdminConsent', {
      clientId: CLIENT_ID, redirectUri: REDIRECT_URI, credentialId: credential.id, state: 's-3',
    });
    assert.deepEqual(await browse(address), { admin_consent: 'true', state: 's-3' });
    const settings = { emailAddress: 'ms@example.com', credentialId: credential.id };
    const { data: grant } = await call('auth.customAuthentication', { requestBody: { provider: 'microsoft', settings } });
    assert.deepEqual([grant.provider, grant.email], ['microsoft', 'ms@example.com']);
  },

  async 'custom authentication makes and repairs a grant'() {
    const settings = { imapUsername: EMAIL, imapPassword: 'p', imapHost: 'imap.example.com', imapPort: 993 };
    const requestBody = { provider: 'imap', settings, state: 's-4' };
    const { data: grant, requestId } = await call('auth.customAuthentication', { requestBody });
    assert.deepEqual([grant.provider, grant.email, grant.grantStatus, grant.state], ['imap', EMAIL, 'valid', 's-4']);
    assert.ok(requestId);
    await control(`grants/${grant.id}/expire`, {});
    assert.equal((await call('grants.find', { grantId: grant.id })).data.grantStatus, 'invalid');
    const { data: again } = await call('auth.customAuthentication', { requestBody });
    assert.deepEqual([again.id, again.grantStatus], [grant.id, 'valid']);
  },

  async 'custom authentication says what the provider said'() {
    const requestBody = { provider: 'google', settings: { refreshToken: 'revoked' } };
    const providerError = { error: 'invalid_grant', providerError: 'Bad Request' };
    const error = await refuses(
      { statusCode: 400, type: 'bad_request', providerError }, 'auth.customAuthentication', { requestBody });
    assert.equal(error.constructor.name, 'NylasApiError');
    assert.equal(error.headers['x-request-id'], error.requestId);
  },

  async 'a provider is detected'() {
    const { data } = await call('auth.detectProvider', { email: 'nyla@gmail.com', allProviderTypes: true });
    assert.deepEqual([data.emailAddress, data.detected, data.provider], ['nyla@gmail.com', true, 'google']);
  },

  async 'grants are listed by filter and page, changed and deleted'() {
    const { grants } = await control('seed', { grants: 5, provider: 'microsoft' });
    await control('seed', { grants: 2, provider: 'google', status: 'invalid' });
    const queryParams = { provider: 'microsoft', limit: 3, sortBy: 'created_at', orderBy: 'asc' };
    const first = await call('grants.list', { queryParams });
    const rest = await call('grants.list', { queryParams: { ...queryParams, offset: 3 } });
    assert.deepEqual([...first.data, ...rest.data].map((grant) => grant.id), grants);
    assert.equal((await call('grants.list', { queryParams: { grantStatus: 'invalid' } })).data.length, 2);
    const all = await call('grants.list');
    assert.equal(all.data.length, 7);
    assert.equal((await all.next()).done, true);

    const [grantId] = grants;
    const requestBody = { settings: { refreshToken: 'rt-2' }, scope: ['User.Read'] };
    assert.deepEqual((await call('grants.update', { grantId, requestBody })).data.scope, ['User.Read']);
    assert.ok((await call('grants.destroy', { grantId })).requestId);
    await refuses({ statusCode: 404, type: 'grant.not_found' }, 'grants.find', { grantId });
    await refuses({ statusCode: 404, type: 'grant.not_found' }, 'grants.update', { grantId, requestBody });
    await refuses({ statusCode: 404, type: 'grant.not_found' }, 'grants.destroy', { grantId });
  },

  async 'a wrong API key opens nothing'() {
    const wrong = { overrides: { apiKey: 'wrong' } };
    for (const method of ['grants.list', 'connectors.list', 'applications.getDetails', 'applications.redirectUris.list']) {
      await refuses({ statusCode: 401, type: 'api.authentication_error' }, method, wrong);
    }
  },

  async 'too many calls are refused, and a slow answer times out'() {
    await control('faults', { path: '/v3/grants', status: 429, count: 1 });
    await refuses({ statusCode: 429, type: 'nylas_rate_limit_exceeded' }, 'grants.list');
    await control('faults', { path: '/v3/grants', delay_ms: 400, count: 1 });
    await assert.rejects(call('grants.list', { overrides: { timeout: 0.1 } }), (error) => {
      assert.equal(error.constructor.name, 'NylasSdkTimeoutError');
      return error.timeout === 0.1;
    });
  },
};
