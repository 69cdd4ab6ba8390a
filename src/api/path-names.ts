import { Injectable, type PipeTransform } from '@nestjs/common';
import { BerthError, type ErrorCode } from '../errors.js';
import { NAME_LENGTH_MAX, PLAIN_TEXT } from './fields.js';

/** A name in a path: what cannot be a name is no such path. */
@Injectable()
export class NamePipe implements PipeTransform<string, string> {
  transform(name: string): string {
    if (name.length <= NAME_LENGTH_MAX && PLAIN_TEXT.test(name)) return name;
    throw new BerthError('request.not_found', 'The path has a name in it that nothing can have');
  }
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * An id in a path.
 *
 * @throws BerthError `code` when it is not even an id: then it is nobody's
 */
export function idInPath(text: string, code: ErrorCode, noun: string): string {
  if (UUID.test(text)) return text.toLowerCase();
  throw new BerthError(code, `There is no ${noun} with the id "${text.slice(0, 60)}"; ids are UUIDs`);
}
