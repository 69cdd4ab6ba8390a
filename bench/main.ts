import { measureDecisions } from './decisions.js';
import { sayMachine } from './machine.js';
import { say } from './print.js';

sayMachine();
say();
measureDecisions([100, 1_000, 10_000]);
