import { once } from 'node:events';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { beforeEach, describe, expect, it } from 'vitest';
import { closeGracefully } from './close-gracefully.js';

@Module({})
class NoRooms {}

// Without the sweep these wait for the keep-alive time of 72 s, and the test runner's patience ends first.
describe('closing', () => {
  let app: NestFastifyApplication;
  let port: number;
  let requested: Promise<void>;
  let answer: () => void;
  beforeEach(async () => {
    app = await NestFactory.create<NestFastifyApplication>(NoRooms, new FastifyAdapter(), { logger: false });
    const wanted = new Promise<void>((resolve) => (answer = resolve));
    requested = new Promise<void>((resolve) => {
      app
        .getHttpAdapter()
        .getInstance()
        .get('/slow', async () => {
          resolve();
          await wanted;
          return { answered: true };
        });
    });
    await app.listen(0, '127.0.0.1');
    ({ port } = app.getHttpServer().address() as AddressInfo);
  });

  it('answers the request that runs, and does not wait for more on its connection', async () => {
    const response = fetch(`http://127.0.0.1:${port}/slow`);
    await requested;
    const closed = closeGracefully(app);
    setTimeout(answer, 200);
    expect(await (await response).json()).toEqual({ answered: true });
    await closed;
  });

  it('cuts a connection that says nothing', async () => {
    const socket: Socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    const ended = once(socket, 'close');
    await closeGracefully(app);
    await ended;
  });
});
