/**
 * Counts the ways of deciding: raised with every change after which the same question may get another answer. A replay of
 * decisions that were made by another one says so.
 */
export const ENGINE_VERSION = 1;
