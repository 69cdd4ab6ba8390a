import 'reflect-metadata';
import { Inject, Injectable, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { describe, expect, it } from 'vitest';
import type { BusSettings } from '../settings/settings.js';
import { AmqpBus } from './amqp.bus.js';
import { BusModule } from './bus.module.js';
import { Bus } from './bus.js';
import { InProcessBus } from './in-process.bus.js';

const SETTINGS: BusSettings = { url: null, messageBytesMax: 1_000, deliveryLimit: 2 };

@Injectable()
class Room {
  constructor(@Inject(Bus) readonly bus: Bus) {}
}

describe('bus module', () => {
  it('gives every room the one in-process bus when there is no URL, and closes it at the end', async () => {
    const busModule = BusModule.register(SETTINGS);
    @Module({ imports: [busModule], providers: [Room] })
    class Front {}
    @Module({ imports: [busModule], providers: [Room] })
    class Back {}
    const app = await Test.createTestingModule({ imports: [Front, Back] }).compile();
    const front = app.select(Front).get(Room);
    expect(front.bus).toBeInstanceOf(InProcessBus);
    expect(app.select(Back).get(Room).bus).toBe(front.bus);
    expect(front.bus.isReady()).toBe(true);
    await app.close();
    expect(front.bus.isReady()).toBe(false);
  });

  it('takes RabbitMQ when there is a URL, and starts and stops with nobody there', async () => {
    const url = 'amqp://127.0.0.1:1';
    const app = await Test.createTestingModule({ imports: [BusModule.register({ ...SETTINGS, url })] }).compile();
    app.useLogger(false);
    await app.init();
    expect(app.get(Bus)).toBeInstanceOf(AmqpBus);
    expect(app.get(Bus).isReady()).toBe(false);
    await app.close();
  });
});
