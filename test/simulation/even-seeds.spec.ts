import { simulate } from './simulate.js';

// Two files, so that two workers run at the same time.
simulate(0, 2);
