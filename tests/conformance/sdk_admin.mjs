// The Node SDK's steps through connectors, credentials, the application, its redirect URIs and webhooks.
import assert from 'node:assert/strict';

import { CLIENT_ID, EMAIL, HOOK, NOWHERE, REDIRECT_URI, call, control, refuses, url } from './sdk_visitor.mjs';

export const steps = {
  async 'connectors are made, read, changed and deleted'() {
    await control('reset', { connectors: [] });
    const settings = { clientId: 'g-client', clientSecret: 'g-secret', topicName: 'projects/p/topics/nylas' };
    const scope = ['openid'];
    const { data: made } = await call(
      'connectors.create', { requestBody: { name: 'Google', provider: 'google', settings, scope } });
    assert.deepEqual([made.provider, made.scope], ['google', scope]);
    assert.deepEqual(made.settings, { topicName: 'projects/p/topics/nylas' });
    assert.deepEqual((await call('connectors.find', { provider: 'google' })).data, made);
    const changed = await call('connectors.update', { provider: 'google', requestBody: { name: 'Ours', scope: [] } });
    assert.deepEqual([changed.data.name, changed.data.scope, changed.data.settings], ['Ours', [], made.settings]);
    await call('connectors.create', { requestBody: { name: 'IMAP', provider: 'imap' } });
    const { data: listed } = await call('connectors.list', { queryParams: { limit: 2 } });
    assert.deepEqual(listed.map((connector) => connector.provider).sort(), ['google', 'imap']);
    assert.ok((await call('connectors.destroy', { provider: 'google' })).requestId);
    await refuses({ statusCode: 404 }, 'connectors.find', { provider: 'google' });
    await refuses({ statusCode: 404 }, 'connectors.update', { provider: 'google', requestBody: { scope } });
    await refuses({ statusCode: 404 }, 'connectors.destroy', { provider: 'google' });
    await refuses({ statusCode: 400 }, 'connectors.create', { requestBody: { provider: 'google' } });
  },

  async 'credentials are made, read, changed and deleted'() {
    const provider = 'google';
    const credentialData = { privateKeyId: 'key-1', privateKey: 'not-a-key', clientEmail: 'robot@example.com' };
    const requestBody = { name: 'robot', credentialType: 'serviceaccount', credentialData };
    const { data: made } = await call('connectors.credentials.create', { provider, requestBody });
    assert.equal(made.name, 'robot');
    assert.ok(made.createdAt > 0);
    const credentialsId = made.id;
    assert.deepEqual((await call('connectors.credentials.find', { provider, credentialsId })).data, made);
    const changed = await call(
      'connectors.credentials.update', { provider, credentialsId, requestBody: { name: 'robot 2', credentialData } });
    assert.equal(changed.data.name, 'robot 2');
    const { data: listed } = await call(
      'connectors.credentials.list', { provider, queryParams: { limit: 10, sortBy: 'created_at', orderBy: 'desc' } });
    assert.ok(listed.some((credential) => credential.id === credentialsId));
    assert.ok((await call('connectors.credentials.destroy', { provider, credentialsId })).requestId);
    await refuses({ statusCode: 404 }, 'connectors.credentials.find', { provider, credentialsId });
    await refuses({ statusCode: 404 }, 'connectors.credentials.destroy', { provider, credentialsId: NOWHERE });
    await refuses(
      { statusCode: 404 }, 'connectors.credentials.update', { provider, credentialsId, requestBody: { name: 'x' } });
    await refuses({ statusCode: 400 }, 'connectors.credentials.create', { provider, requestBody: { name: 'x' } });
  },

  async 'the application is read and changed'() {
    const { data: details } = await call('applications.getDetails');
    assert.deepEqual([details.applicationId, details.region, details.environment], [CLIENT_ID, 'us', 'production']);
    assert.ok(details.organizationId && details.branding.name);
    const branding = { name: 'Evergrant', websiteUrl: 'https://app.example.com' };
    const { data: changed } = await call('applications.update', { requestBody: { branding } });
    assert.equal(changed.branding.websiteUrl, 'https://app.example.com');
    assert.deepEqual((await call('applications.getDetails')).data.branding, changed.branding);
  },

  async 'redirect URIs are made, read, changed and deleted'() {
    const { data: web } = await call('applications.redirectUris.create', {
      requestBody: { url: REDIRECT_URI, platform: 'web' } });
    assert.deepEqual([web.url, web.platform], [REDIRECT_URI, 'web']);
    const { data: js } = await call('applications.redirectUris.create', {
      requestBody: { url: 'https://spa.example.com/cb', platform: 'js', settings: { origin: 'https://spa.example.com' } },
    });
    assert.equal(js.settings.origin, 'https://spa.example.com');
    const { data: listed } = await call('applications.redirectUris.list');
    assert.deepEqual(listed.map((uri) => uri.id).sort(), [web.id, js.id].sort());
    const redirectUriId = web.id;
    assert.deepEqual((await call('applications.redirectUris.find', { redirectUriId })).data, web);
    const requestBody = { url: `${REDIRECT_URI}/2`, platform: 'web' };
    const changed = await call('applications.redirectUris.update', { redirectUriId, requestBody });
    assert.equal(changed.data.url, `${REDIRECT_URI}/2`);
    assert.ok((await call('applications.redirectUris.destroy', { redirectUriId })).requestId);
    await refuses({ statusCode: 404 }, 'applications.redirectUris.find', { redirectUriId });
    await refuses({ statusCode: 404 }, 'applications.redirectUris.update', { redirectUriId, requestBody });
    await refuses({ statusCode: 404 }, 'applications.redirectUris.destroy', { redirectUriId });
    // This SDK writes it sha_1_certificate_fingerprint, which is not its name at Nylas.
    const settings = { packageName: 'com.example.app', sha1CertificateFingerprint: '16:0F:7E' };
    const android = { url: 'com.example.app://callback', platform: 'android', settings };
    await refuses({ statusCode: 400 }, 'applications.redirectUris.create', { requestBody: android });
  },

  async 'webhooks are made, read, changed and deleted'() {
    const triggerTypes = ['grant.created', 'grant.expired'];
    const { data: made } = await call('webhooks.create', {
      requestBody: { triggerTypes, webhookUrl: HOOK, description: 'ours', notificationEmailAddresses: [EMAIL] } });
    assert.deepEqual([made.triggerTypes, made.webhookUrl, made.status], [triggerTypes, HOOK, 'active']);
    assert.ok(made.webhookSecret);
    const webhookId = made.id;
    assert.equal((await call('webhooks.find', { webhookId })).data.description, 'ours');
    assert.deepEqual((await call('webhooks.list')).data.map((hook) => hook.id), [webhookId]);
    const changed = await call('webhooks.update', { webhookId, requestBody: { triggerTypes: ['grant.deleted'] } });
    assert.deepEqual([changed.data.triggerTypes, changed.data.webhookUrl], [['grant.deleted'], HOOK]);
    const { data: rotated } = await call('webhooks.rotateSecret', { webhookId });
    assert.notEqual(rotated.webhookSecret, made.webhookSecret);
    assert.equal((await call('webhooks.destroy', { webhookId })).data.status, 'success');
    for (const method of ['find', 'rotateSecret', 'destroy']) {
      await refuses({ statusCode: 400, type: '70000' }, `webhooks.${method}`, { webhookId });
    }
    const nobody = { triggerTypes, webhookUrl: `${url}/nobody-listens-here` };
    await refuses({ statusCode: 400, type: '70005' }, 'webhooks.create', { requestBody: nobody });
  },

  async 'webhook addresses and challenges are told'() {
    const { data } = await call('webhooks.ipAddresses');
    assert.ok(data.ipAddresses.length > 0 && data.updatedAt > 0);
    assert.equal(await call('webhooks.extractChallengeParameter', `${HOOK}?challenge=c-1`), 'c-1');
  },
};
