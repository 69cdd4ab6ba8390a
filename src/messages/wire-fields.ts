import { ValidateIf } from 'class-validator';

/** A PCI address as it travels. */
export const ADDRESS = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/;
export const HEX4 = /^[0-9a-f]{4}$/;

/** `@IsOptional` treats undefined as fine; on the wire a field is there, or it is null. */
export const Nullable = (): PropertyDecorator => ValidateIf((_object, value) => value !== null);
