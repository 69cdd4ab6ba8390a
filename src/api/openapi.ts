import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';

const API_VERSION = '1';

/** The OpenAPI document of the REST face. */
export function buildOpenApi(app: INestApplication): OpenAPIObject {
  const config = new DocumentBuilder()
    .setTitle('Berth')
    .setDescription('PCI passthrough placement: a server that asks for devices lands on a host that has them free.')
    .setVersion(API_VERSION)
    .addBasicAuth({ type: 'http', scheme: 'basic', description: 'With `auth.strategy: http_basic`.' }, 'http_basic')
    .addApiKey(
      { type: 'apiKey', in: 'header', name: 'X-Auth-Token', description: 'With `auth.strategy: keystone`.' },
      'keystone',
    )
    .addSecurityRequirements({})
    .addSecurityRequirements('http_basic')
    .addSecurityRequirements('keystone')
    .setLicense('Apache-2.0', 'https://www.apache.org/licenses/LICENSE-2.0')
    .build();
  return SwaggerModule.createDocument(app, config);
}

/** The document as text: keys sorted, so that the file in the repository changes only where the API does. */
export function openApiText(app: INestApplication): string {
  return `${JSON.stringify(buildOpenApi(app), sortedKeys, 2)}\n`;
}

function sortedKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
